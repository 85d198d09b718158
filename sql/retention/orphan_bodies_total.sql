-- Purpose: how many photographs go, and how much they take on the disk.
-- Grain: one row.
-- Inputs: orphans (what orphan_bodies.sql found).
-- Parameters: none.
select
    count(*) as bodies,
    coalesce(sum(bytes), 0)::bigint as bytes
from orphans
