-- Purpose: every species with its photographs by side, for the table that people search.
-- Grain: one row per class.
-- Inputs: taxonomy, split, predictions (photo_id, predicted_class_id; empty where no network was trained).
-- Parameters: none.
-- The tree is preorder: the genus and the family of a class are the nodes of these ranks whose range holds it.
with sides as (
    select
        split.class_id,
        count(*) filter (where split.split = 'train') as train,
        count(*) filter (where split.split = 'validation') as validation,
        count(*) filter (where predictions.predicted_class_id = split.class_id) as correct,
        count(predictions.photo_id) as judged
    from split
    left join predictions on split.photo_id = predictions.photo_id
    group by split.class_id
),

genera as (
    select * from taxonomy
    where rank = 'genus'
),

families as (
    select * from taxonomy
    where rank = 'family'
),

classes as (
    select * from taxonomy
    where rank = 'class'
)

select
    leaf.name as species,
    genus.name as genus,
    family.name as family,
    class.name as class,
    leaf.taxon_key,
    coalesce(sides.train, 0) as train,
    coalesce(sides.validation, 0) as validation,
    case when sides.judged > 0 then sides.correct end as correct
from taxonomy as leaf
inner join genera as genus on leaf.class_id >= genus.leaf_begin and leaf.class_id < genus.leaf_end
inner join families as family on leaf.class_id >= family.leaf_begin and leaf.class_id < family.leaf_end
inner join classes as class on leaf.class_id >= class.leaf_begin and leaf.class_id < class.leaf_end
left join sides on leaf.class_id = sides.class_id
where leaf.class_id is not null
order by species, leaf.class_id
