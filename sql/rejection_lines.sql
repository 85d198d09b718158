-- Purpose: the rejections of one stage in the shape and order of the table of all stages.
-- Grain: one row per rejected row.
-- Inputs: lines (key, rule, detail).
-- Parameters: $stage, the asset that removed the rows.
select
    $stage::varchar as stage,
    key::varchar as key,
    rule::varchar as rule,
    detail::varchar as detail
from lines
order by key, rule, detail
