-- Purpose: how the kept species are spread over the classes of animals, plants and fungi.
-- Grain: one row per node of rank class.
-- Inputs: taxonomy.
-- Parameters: none.
select
    class.name,
    kingdom.name as kingdom,
    class.leaf_end - class.leaf_begin as species,
    class.photos
from taxonomy as class
inner join taxonomy as kingdom
    on
        kingdom.rank = 'kingdom'
        and class.leaf_begin >= kingdom.leaf_begin and class.leaf_end <= kingdom.leaf_end
where class.rank = 'class'
order by species desc, class.name asc, class.node_id asc
