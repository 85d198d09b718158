-- Purpose: the usable photographs that a rule removed.
-- Grain: one row per removed photograph.
-- Inputs: verdicts (the rows of photo_verdicts.sql).
-- Parameters: none.
select
    photo_id as key,
    rule,
    detail
from verdicts
where rule is not null
order by photo_id
