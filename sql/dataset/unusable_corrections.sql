-- Purpose: the rejections of a stage, and the corrections that could not be used.
-- Grain: one row per removed row, and one per line of the corrections and record without effect.
-- Inputs: rejected (key, rule, detail), corrections (key, problem).
-- Parameters: none.
select
    key,
    rule,
    detail
from rejected
union all
select
    key,
    'unusable_correction' as rule,
    problem as detail
from corrections
where problem is not null
