-- Purpose: the ledger: every photograph of the index with what became of it.
-- Grain: one row per photo_id.
-- Inputs: photo_index, attempts (see pipeline.photos.journal).
-- Parameters: none.
-- The last attempt for a photograph's present address counts; `attempts` is how often that address was asked for.
with latest as (
    select
        photo_id,
        url,
        max_by(
            struct_pack(
                status := status,
                http_status := http_status,
                sha256 := sha256,
                bytes := bytes,
                width := width,
                height := height,
                error := error,
                fetched_at := fetched_at
            ),
            line
        ) as outcome,
        (count(*) filter (where attempt > 0))::integer as attempts
    from attempts
    group by photo_id, url
)

select
    photo_index.photo_id,
    photo_index.occurrence_key,
    photo_index.url,
    latest.outcome.status,
    latest.outcome.http_status,
    latest.outcome.sha256,
    latest.outcome.bytes,
    latest.outcome.width,
    latest.outcome.height,
    case
        when latest.outcome.status = 'ok'
            then 'photos/' || left(latest.outcome.sha256, 2) || '/' || latest.outcome.sha256 || '.jpg'
    end as path,
    photo_index.licence,
    photo_index.rights_holder,
    photo_index.creator,
    latest.attempts,
    latest.outcome.error,
    latest.outcome.fetched_at::timestamp as fetched_at
from photo_index
left join latest on photo_index.photo_id = latest.photo_id and photo_index.url = latest.url
order by photo_index.photo_id
