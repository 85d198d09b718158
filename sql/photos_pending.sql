-- Purpose: the photographs to ask for: never asked for, lost since, or worth another try.
-- Grain: one row per photo_id.
-- Inputs: photo_index, attempts (see pipeline.photos.journal), stored (sha256, bytes).
-- Parameters: $limits, the rules of this run for sizes and hosts (see pipeline.photos.ledger.limits_of); $asked_before,
--   a moment: a permanent failure that is older is asked for again.
-- What a photograph's address was when it was fetched counts: after a change of the wanted size all are asked anew.
-- The authority (host and port) brings the photographs of one host together.
with latest as (
    select
        photo_id,
        url,
        arg_max(status, line) as status,
        arg_max(coalesce(limits, ''), line) as limits,
        arg_max(coalesce(sha256, ''), line) as sha256,
        arg_max(coalesce(bytes, 0), line) as bytes,
        arg_max(fetched_at, line)::timestamp as fetched_at
    from attempts
    group by photo_id, url
)

select
    lower(regexp_extract(photo_index.url, '^\w+://(?:[^/?#@]*@)?([^/?#]*)', 1)) as authority,
    photo_index.photo_id,
    photo_index.url
from photo_index
left join latest on photo_index.photo_id = latest.photo_id and photo_index.url = latest.url
left join stored on latest.sha256 = stored.sha256 and latest.bytes = stored.bytes
where
    latest.photo_id is null
    or latest.status in ('failed', 'again')
    or (latest.status = 'ok' and stored.sha256 is null)
    or (latest.status in ('too_large', 'blocked') and latest.limits <> $limits)
    or (latest.status <> 'ok' and latest.fetched_at < $asked_before)
order by authority, photo_index.photo_id
