-- Purpose: the ledger: what became of each photograph of the index.
-- Grain: one row per photograph.
-- Inputs: photo_index, outcomes (the last outcome of each photograph that was asked for).
-- Parameters: none.
select
    photo_index.photo_id,
    photo_index.occurrence_key,
    photo_index.url,
    coalesce(outcomes.status, 'failed') as status,
    outcomes.http_status,
    outcomes.sha256,
    outcomes.bytes,
    outcomes.width,
    outcomes.height,
    outcomes.path,
    photo_index.licence,
    photo_index.rights_holder,
    photo_index.creator,
    coalesce(outcomes.attempts, 0)::integer as attempts,
    case when outcomes.status is null then 'not asked for yet' else outcomes.error end as error,
    try_cast(outcomes.fetched_at as timestamp) as fetched_at
from photo_index
left join outcomes on photo_index.photo_id = outcomes.photo_id and photo_index.url = outcomes.url
order by photo_index.photo_id
