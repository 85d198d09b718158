-- Purpose: how many rows each rule removed, for the user interface and the manifest.
-- Grain: one row per stage and rule.
-- Inputs: rejections.
-- Parameters: none.
select
    stage,
    rule,
    count(*) as lines
from rejections
group by stage, rule
order by stage, rule
