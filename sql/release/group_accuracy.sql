-- Purpose: how well a network does on the taxa of one rank: species recognised, and answers that stay in the taxon.
-- Grain: one row per taxon of the rank; taxa without a validation photograph have 0 of them.
-- Inputs: taxonomy, predictions (of the validation side).
-- Parameters: $rank, such as class or order.
-- The tree is preorder: a class belongs to the taxon whose range of leaves holds it.
select
    taxon.name,
    taxon.leaf_end - taxon.leaf_begin as species,
    count(predictions.class_id) as photos,
    count(*) filter (where predictions.predicted_class_id = predictions.class_id) as recognised,
    count(*) filter (
        where predictions.predicted_class_id >= taxon.leaf_begin and predictions.predicted_class_id < taxon.leaf_end
    ) as within
from taxonomy as taxon
left join predictions
    on taxon.leaf_begin <= predictions.class_id and taxon.leaf_end > predictions.class_id
where taxon.rank = $rank
group by taxon.node_id, taxon.name, taxon.leaf_begin, taxon.leaf_end
order by photos desc, taxon.name asc, taxon.node_id asc
