-- Purpose: the taxa to show photographs of: those requested by name or key, else the families with most photographs.
-- Grain: one row per node; a name of several nodes gives all of them.
-- Inputs: taxonomy.
-- Parameters: $taxa, names or taxon keys (empty: choose); $most, how many to choose.
select
    node.node_id,
    node.rank,
    node.name,
    node.taxon_key,
    parent.name as parent,
    node.leaf_begin,
    node.leaf_end,
    node.photos
from taxonomy as node
inner join taxonomy as parent on node.parent_id = parent.node_id
where
    case
        when len($taxa::varchar[]) > 0
            then list_contains($taxa::varchar[], node.name) or list_contains($taxa::varchar[], node.taxon_key)
        else node.rank = 'family' and not node.placeholder
    end
qualify len($taxa::varchar[]) > 0 or row_number() over (order by node.photos desc, node.node_id asc) <= $most
order by node.node_id
