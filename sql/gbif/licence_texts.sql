-- Purpose: the distinct texts that state a licence, to be read once each.
-- Grain: one row per distinct text; none for a blank.
-- Inputs: licensed (any table with a column licence).
-- Parameters: none.
select distinct licence as text
from licensed
where licence is not null
order by text
