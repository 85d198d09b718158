-- Purpose: what took occurrences out of the scope, the most frequent first, and how many were there twice.
-- Grain: one row per rule and reason.
-- Inputs: rejected (the rows of clean_rejections.sql).
-- Parameters: none.
select
    rule,
    detail,
    count(*)::bigint as occurrences
from rejected
where rule in ('absent', 'out_of_scope', 'duplicate_occurrence')
group by rule, detail
order by occurrences desc, detail asc
