-- Purpose: the datasets that the occurrences come from.
-- Grain: one row per dataset; rows that name none are left out.
-- Inputs: occurrences.
-- Parameters: none.
select distinct dataset_key
from occurrences
where dataset_key is not null
order by dataset_key
