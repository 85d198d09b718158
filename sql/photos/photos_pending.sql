-- Purpose: the photographs to ask for: never asked for, lost since, or worth a retry.
-- Grain: one row per photo_id.
-- Inputs: photo_index, attempts (see pipeline.photos.journal), stored (sha256, bytes: the bodies on disk).
-- Parameters: $sized, a pattern of addresses that exist in several sizes (see photo_index_verdicts.sql); $limits, the
--   rules of this run for sizes and hosts (see pipeline.photos.ledger.limits_of); $asked_before, a moment: a permanent
--   failure that is older is asked for again.
-- A photograph that was stored in the wanted size is not asked for again, on whichever of iNaturalist's hosts it is
--   now; a failure counts for the very address that failed.
-- The photographs of one authority (host and port) are together, those never asked for first: what failed before must
--   not stand in the way of the rest.
with placed as (
    select
        photo_id,
        line,
        coalesce(nullif(regexp_extract(url, $sized, 2) || '/' || regexp_extract(url, $sized, 3), '/'), url) as place
    from attempts
),

last_lines as (
    select
        photo_id,
        place,
        max(line) as line
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
)

select
    lower(regexp_extract(wanted.url, '^\w+://(?:[^/?#@]*@)?([^/?#]*)', 1)) as authority,
    wanted.photo_id,
    wanted.url,
    wanted.other_url
from wanted
left join last_lines on wanted.photo_id = last_lines.photo_id and wanted.place = last_lines.place
left join attempts as latest on last_lines.line = latest.line
left join stored on latest.sha256 = stored.sha256 and latest.bytes = stored.bytes
where
    latest.line is null
    or latest.status in ('failed', 'again')
    or (latest.status <> 'ok' and latest.url <> wanted.url)
    or (latest.status = 'ok' and stored.sha256 is null)
    or (latest.status in ('too_large', 'blocked') and coalesce(latest.limits, '') <> $limits)
    or (latest.status <> 'ok' and latest.fetched_at::timestamp < $asked_before)
order by authority, latest.line is not null, wanted.photo_id
