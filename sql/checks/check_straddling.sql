-- Purpose: observations with photographs on both sides of the split.
-- Grain: one row per offending observation.
-- Inputs: split.
-- Parameters: none.
select observation_id
from split
group by observation_id
having count(distinct split) > 1
order by observation_id
