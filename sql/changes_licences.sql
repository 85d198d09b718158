-- Purpose: which licences were replaced by which.
-- Grain: one row per pair of licences.
-- Inputs: changes.
-- Parameters: none.
select
    licence_before,
    licence_after,
    count(*)::bigint as photographs
from changes
where change = 'relicensed'
group by licence_before, licence_after
order by photographs desc, licence_before asc, licence_after asc
