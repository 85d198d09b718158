-- Purpose: how many species each kingdom has.
-- Grain: one row per node of rank kingdom.
-- Inputs: taxonomy.
-- Parameters: none.
select
    name as kingdom,
    leaf_end - leaf_begin as species,
    photos
from taxonomy
where rank = 'kingdom'
order by species desc, name asc
