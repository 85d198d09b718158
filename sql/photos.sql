-- Purpose: the ledger: every photograph of the index with what became of it.
-- Grain: one row per photo_id.
-- Inputs: photo_index, journal (photo_id, url, status, http_status, sha256, bytes, width, height, attempts, error,
--   fetched_at, line).
-- Parameters: none.
-- The journal's last line about a photograph's present address counts.
with latest as (
    select
        journal.*,
        row_number() over (partition by journal.photo_id, journal.url order by journal.line desc) as age
    from journal
)

select
    photo_index.photo_id,
    photo_index.occurrence_key,
    photo_index.url,
    latest.status,
    latest.http_status,
    latest.sha256,
    latest.bytes,
    latest.width,
    latest.height,
    case when latest.status = 'ok' then 'photos/' || left(latest.sha256, 2) || '/' || latest.sha256 || '.jpg' end
        as path,
    photo_index.licence,
    photo_index.rights_holder,
    photo_index.creator,
    latest.attempts,
    latest.error,
    latest.fetched_at::timestamp as fetched_at
from photo_index
left join latest on photo_index.photo_id = latest.photo_id and photo_index.url = latest.url and latest.age = 1
order by photo_index.photo_id
