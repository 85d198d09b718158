-- Purpose: how many photographs changed in which way.
-- Grain: one row per kind of change that occurs.
-- Inputs: changes.
-- Parameters: none.
select
    change,
    count(*)::bigint as photographs
from changes
group by change
order by change
