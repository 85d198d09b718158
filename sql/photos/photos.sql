-- Purpose: the ledger: every photograph of the index with what became of it.
-- Grain: one row per photo_id.
-- Inputs: photo_index, attempts (see pipeline.photos.journal).
-- Parameters: $sized, a pattern of addresses that exist in several sizes (see photo_index_verdicts.sql); $first and
--   $before, the range of photo_id: from the one on, up to the other or, where it is null, to the end.
-- The last attempt for a photograph in its present size counts; `attempts` is how often it was asked for in that size.
with placed as (
    select
        *,
        coalesce(nullif(regexp_extract(url, $sized, 2) || '/' || regexp_extract(url, $sized, 3), '/'), url) as place
    from attempts
    where photo_id >= $first and ($before::varchar is null or photo_id < $before)
),

latest as (
    select
        photo_id,
        place,
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
    from placed
    group by photo_id, place
),

wanted as (
    select
        *,
        coalesce(nullif(regexp_extract(url, $sized, 2) || '/' || regexp_extract(url, $sized, 3), '/'), url) as place
    from photo_index
    where photo_id >= $first and ($before::varchar is null or photo_id < $before)
)

select
    wanted.photo_id,
    wanted.occurrence_key,
    wanted.url,
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
    wanted.licence,
    wanted.rights_holder,
    wanted.creator,
    latest.attempts,
    latest.outcome.error,
    latest.outcome.fetched_at::timestamp as fetched_at
from wanted
left join latest on wanted.photo_id = latest.photo_id and wanted.place = latest.place
order by wanted.photo_id
