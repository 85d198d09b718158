-- Purpose: the ledger: every photograph of the index with what became of it.
-- Grain: one row per photo_id.
-- Inputs: photo_index, attempts (see pipeline.photos.journal).
-- Parameters: $sized, a pattern of addresses that exist in several sizes (see photo_index_verdicts.sql).
-- The last attempt for a photograph in its present size counts; `attempts` is how often it was asked for in that size.
with placed as (
    select
        photo_id,
        line,
        attempt,
        coalesce(nullif(regexp_extract(url, $sized, 2) || '/' || regexp_extract(url, $sized, 3), '/'), url) as place
    from attempts
),

last_lines as (
    select
        photo_id,
        place,
        max(line) as line,
        (count(*) filter (where attempt > 0))::integer as attempts
    from placed
    group by photo_id, place
),

wanted as (
    select
        *,
        coalesce(nullif(regexp_extract(url, $sized, 2) || '/' || regexp_extract(url, $sized, 3), '/'), url) as place
    from photo_index
)

select
    wanted.photo_id,
    wanted.occurrence_key,
    wanted.url,
    latest.status,
    latest.http_status,
    latest.sha256,
    latest.bytes,
    latest.width,
    latest.height,
    case
        when latest.status = 'ok' then 'photos/' || left(latest.sha256, 2) || '/' || latest.sha256 || '.jpg'
    end as path,
    wanted.licence,
    wanted.rights_holder,
    wanted.creator,
    last_lines.attempts,
    latest.error,
    latest.fetched_at::timestamp as fetched_at
from wanted
left join last_lines on wanted.photo_id = last_lines.photo_id and wanted.place = last_lines.place
left join attempts as latest on last_lines.line = latest.line
order by wanted.photo_id
