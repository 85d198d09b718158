-- Purpose: a few of the rows that each rule left out, to look at.
-- Grain: one row per example.
-- Inputs: rejections.
-- Parameters: $most, how many of each rule.
select
    stage,
    key,
    rule,
    detail
from rejections
qualify row_number() over (partition by stage, rule order by key, detail) <= $most
order by stage, rule, key, detail
