-- Purpose: the photographs on disk that nothing names any more.
-- Grain: one row per stored body.
-- Inputs: stored (sha256, bytes: the bodies on disk), photos (the ledger), attempts (see pipeline.photos.journal),
--   shown (path: the photographs of the present split, genus stage and exam), credited (photo_id: those of kept dataset
--   versions).
-- Parameters: none.
-- A body is named by the ledger, by what is shown, by an attempt later than all that the ledger knows (a fetch that was
--   not folded yet), or by any attempt for a photograph of a kept dataset version.
with folded as (
    select coalesce(max(fetched_at), timestamp '1970-01-01') as until_then
    from photos
),

named as (
    select sha256
    from photos
    where sha256 is not null
    union
    select regexp_extract(path, '([0-9a-f]{64})', 1) as sha256
    from shown
    union
    select attempts.sha256
    from attempts
    cross join folded
    where attempts.sha256 is not null and attempts.fetched_at::timestamp > folded.until_then
    union
    select attempts.sha256
    from attempts
    inner join credited on attempts.photo_id = credited.photo_id
    where attempts.sha256 is not null
)

select
    stored.sha256,
    stored.bytes
from stored
left join named on stored.sha256 = named.sha256
where named.sha256 is null
order by stored.sha256
