-- Purpose: how many photographs each host is to be asked for, and where they begin in `pending`.
-- Grain: one row per authority (host and port), the one with most photographs first.
-- Inputs: pending (the rows of photos_pending.sql, ordered by authority).
-- Parameters: none.
with counted as (
    select
        authority,
        count(*)::bigint as photos
    from pending
    group by authority
)

select
    authority,
    photos,
    (sum(photos) over (order by authority) - photos)::bigint as first
from counted
order by photos desc, authority asc
