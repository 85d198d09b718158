-- Purpose: the occurrences that a rule removed.
-- Grain: one row per removed row of occurrences.
-- Inputs: verdicts (the rows of occurrence_verdicts.sql).
-- Parameters: none.
select
    occurrence_key as key,
    rule,
    detail
from verdicts
where rule is not null
order by occurrence_key, rule
