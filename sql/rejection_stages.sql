-- Purpose: the stages that rejections name.
-- Grain: one row per stage.
-- Inputs: lines (stage, key, rule, detail).
-- Parameters: none.
select distinct stage from lines
