-- Purpose: the species that a network knows: their photographs by side, and how many of those of validation it
--   recognises.
-- Grain: one row per class.
-- Inputs: taxonomy, split, predictions (of the validation side).
-- Parameters: none.
-- The tree is preorder: the order of a class is the node of that rank whose range holds it.
with sides as (
    select
        class_id,
        count(*) filter (where split = 'train') as train,
        count(*) filter (where split = 'validation') as validation
    from split
    group by class_id
),

answers as (
    select
        class_id,
        count(*) as judged,
        count(*) filter (where predicted_class_id = class_id) as recognised
    from predictions
    group by class_id
),

above as (
    select
        leaf.class_id,
        max(node.name) filter (where node.rank = 'kingdom') as kingdom,
        max(node.name) filter (where node.rank = 'class') as class,
        max(node.name) filter (where node.rank = 'order') as "order"
    from taxonomy as leaf
    inner join taxonomy as node
        on leaf.class_id >= node.leaf_begin and leaf.class_id < node.leaf_end
    where leaf.class_id is not null and node.rank in ('kingdom', 'class', 'order')
    group by leaf.class_id
)

select
    leaf.class_id,
    leaf.name as species,
    leaf.taxon_key,
    above.kingdom,
    above.class,
    above."order",
    coalesce(sides.train, 0) as train,
    coalesce(sides.validation, 0) as validation,
    coalesce(answers.judged, 0) as judged,
    coalesce(answers.recognised, 0) as recognised
from taxonomy as leaf
left join above on leaf.class_id = above.class_id
left join sides on leaf.class_id = sides.class_id
left join answers on leaf.class_id = answers.class_id
where leaf.class_id is not null
order by species, leaf.class_id
