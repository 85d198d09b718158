-- Purpose: the group that each species is judged in.
-- Grain: one row per species of the taxonomy.
-- Inputs: taxonomy.
-- Parameters: $rank (the rank whose taxa are the groups).
select
    species.taxon_key as species_key,
    above.node_id,
    above.name as group_name
from taxonomy as species
inner join taxonomy as above
    on
        above.rank = $rank
        and species.class_id >= above.leaf_begin
        and species.class_id < above.leaf_end
where species.rank = 'species'
order by species.taxon_key
