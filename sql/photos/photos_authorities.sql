-- Purpose: how many photographs each host is to be asked for, and the last ones that it has given: a host that gives
--   one of them again still gives some.
-- Grain: one row per authority (host and port), the one with most photographs first.
-- Inputs: pending (the rows of photos_pending.sql), attempts (see pipeline.photos.journal).
-- Parameters: $most, how many addresses of given photographs for each.
with given as (
    select
        lower(regexp_extract(url, '^\w+://(?:[^/?#@]*@)?([^/?#]*)', 1)) as authority,
        max_by(url, line, $most) as samples
    from attempts
    where status = 'ok'
    group by authority
),

counted as (
    select
        authority,
        count(*)::bigint as photos
    from pending
    group by authority
)

select
    counted.authority,
    counted.photos,
    given.samples
from counted
left join given on counted.authority = given.authority
order by counted.photos desc, counted.authority asc
