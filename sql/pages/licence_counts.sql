-- Purpose: under which licences the photographs stand.
-- Grain: one row per licence.
-- Inputs: attribution.
-- Parameters: none.
select
    coalesce(licence, 'unknown') as licence,
    count(*) as photos
from attribution
group by coalesce(licence, 'unknown')
order by photos desc, licence asc
