-- Purpose: the photographs to ask for: never asked for, lost since, or worth another try.
-- Grain: one row per photo_id.
-- Inputs: photo_index, attempts (see pipeline.photos.journal), stored (sha256, bytes).
-- Parameters: $sized, a pattern of addresses that exist in several sizes (see photo_index_verdicts.sql); $first and
--   $before, the range of photo_id: from the one on, up to the other or, where it is null, to the end; $limits, the
--   rules of this run for sizes and hosts (see pipeline.photos.ledger.limits_of); $asked_before, a moment: a permanent
--   failure that is older is asked for again.
-- A photograph that was stored in the wanted size is not asked for again, whichever of iNaturalist's hosts it lies on
--   now; a failure counts for the very address that failed.
-- The authority (host and port) brings the photographs of one host together; tried tells those that failed
--   before or were lost from those that nobody has asked for yet.
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
        arg_max(url, line) as url,
        arg_max(status, line) as status,
        arg_max(coalesce(limits, ''), line) as limits,
        arg_max(coalesce(sha256, ''), line) as sha256,
        arg_max(coalesce(bytes, 0), line) as bytes,
        arg_max(fetched_at, line)::timestamp as fetched_at
    from placed
    group by photo_id, place
),

wanted as (
    select
        photo_id,
        url,
        other_url,
        coalesce(nullif(regexp_extract(url, $sized, 2) || '/' || regexp_extract(url, $sized, 3), '/'), url) as place
    from photo_index
    where photo_id >= $first and ($before::varchar is null or photo_id < $before)
)

select
    lower(regexp_extract(wanted.url, '^\w+://(?:[^/?#@]*@)?([^/?#]*)', 1)) as authority,
    latest.photo_id is not null as tried,
    wanted.photo_id,
    wanted.url,
    wanted.other_url
from wanted
left join latest on wanted.photo_id = latest.photo_id and wanted.place = latest.place
left join stored on latest.sha256 = stored.sha256 and latest.bytes = stored.bytes
where
    latest.photo_id is null
    or latest.status in ('failed', 'again')
    or (latest.status <> 'ok' and latest.url <> wanted.url)
    or (latest.status = 'ok' and stored.sha256 is null)
    or (latest.status in ('too_large', 'blocked') and latest.limits <> $limits)
    or (latest.status <> 'ok' and latest.fetched_at < $asked_before)
