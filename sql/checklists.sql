-- Purpose: the taxonomies that the occurrences follow.
-- Grain: one row per checklist; rows that name none are left out.
-- Inputs: occurrences.
-- Parameters: none.
select
    checklist_key,
    count(*) as occurrences
from occurrences
where checklist_key is not null
group by checklist_key
order by occurrences desc, checklist_key asc
