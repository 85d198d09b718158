-- Purpose: nodes that break the tree: root, parents, preorder, depths, leaf ranges, class ids.
-- Grain: one row per offending node and problem.
-- Inputs: taxonomy.
-- Parameters: none.
with below as (
    select
        parent_id as node_id,
        min(leaf_begin) as leaf_begin,
        max(leaf_end) as leaf_end,
        sum(leaf_end - leaf_begin) as leaves
    from taxonomy
    where parent_id is not null
    group by parent_id
),

joined as (
    select
        node.*,
        parent.node_id as found_parent,
        parent.depth as parent_depth,
        parent.leaf_begin as parent_begin,
        parent.leaf_end as parent_end,
        below.leaf_begin as below_begin,
        below.leaf_end as below_end,
        below.leaves as below_leaves,
        row_number() over (order by node.node_id) - 1 as position
    from taxonomy as node
    left join taxonomy as parent on node.parent_id = parent.node_id
    left join below on node.node_id = below.node_id
),

judged as (
    select
        node_id,
        name,
        case
            when node_id <> position then 'node ids are not 0, 1, 2, ...'
            when node_id = 0 and (parent_id is not null or depth <> 0) then 'the root has a parent or a depth'
            when node_id > 0 and found_parent is null then 'its parent is missing'
            when node_id > 0 and parent_id >= node_id then 'its parent comes after it'
            when node_id > 0 and depth <> parent_depth + 1 then 'its depth is not its parent''s plus one'
            when node_id > 0 and (leaf_begin < parent_begin or leaf_end > parent_end)
                then 'its leaf range leaves its parent''s'
            when (class_id is null) <> (depth < 7) then 'class ids belong to species and only to them'
            when class_id is not null and (leaf_begin <> class_id or leaf_end <> class_id + 1)
                then 'a species'' leaf range is not its own class'
            when class_id is null and below_leaves is null then 'it has no species below it'
            when class_id is null and (
                below_begin <> leaf_begin or below_end <> leaf_end or below_leaves <> leaf_end - leaf_begin
            ) then 'its children''s leaf ranges do not fill its own'
        end as problem
    from joined
)

select
    node_id,
    name,
    problem
from judged
where problem is not null
order by node_id
