-- Purpose: how well a network does on every taxon, for the table that people search.
-- Grain: one row per taxon below the root, in preorder.
-- Inputs: taxonomy, split, predictions (of the validation side: class_id, predicted_class_id), answers (of the exam:
--   photo_id, depth, answer_right; empty where the version was not asked).
-- Parameters: none.
-- The tree is preorder: a class lies in the taxa whose range of leaves holds it, one of each depth.
with places as (
    select
        taxon.node_id,
        taxon.depth,
        leaf.class_id
    from taxonomy as taxon
    inner join taxonomy as leaf on taxon.leaf_begin <= leaf.class_id and taxon.leaf_end > leaf.class_id
    where taxon.depth > 0
),

sides as (
    select
        places.node_id,
        count(*) filter (where split.split = 'train') as train,
        count(*) filter (where split.split = 'validation') as validation
    from split
    inner join places on split.class_id = places.class_id
    group by places.node_id
),

pairs as (
    select
        predictions.class_id,
        predictions.predicted_class_id,
        count(*) as photos
    from predictions
    group by predictions.class_id, predictions.predicted_class_id
),

outcomes as (
    select
        own.node_id,
        named.node_id as named_id,
        sum(pairs.photos) as photos,
        sum(pairs.photos) filter (where pairs.class_id = pairs.predicted_class_id) as recognised
    from pairs
    inner join places as own on pairs.class_id = own.class_id
    inner join places as named on pairs.predicted_class_id = named.class_id and own.depth = named.depth
    group by own.node_id, named.node_id
),

judged as (
    select
        node_id,
        sum(photos) as photos,
        sum(recognised) as recognised,
        sum(photos) filter (where named_id = node_id) as within
    from outcomes
    group by node_id
),

confused as (
    select
        outcomes.node_id,
        outcomes.photos,
        other.name
    from outcomes
    inner join taxonomy as other on outcomes.named_id = other.node_id
    where outcomes.named_id <> outcomes.node_id
    qualify row_number() over (partition by outcomes.node_id order by outcomes.photos desc, outcomes.named_id asc) = 1
),

answered as (
    select
        places.node_id,
        count(*) as photos,
        avg(answers.depth) as depth,
        count(*) filter (where answers.answer_right) as right_answers
    from answers
    inner join split on answers.photo_id = split.photo_id and split.split = 'validation'
    inner join places on split.class_id = places.class_id
    group by places.node_id
)

select
    taxon.depth,
    taxon.rank,
    taxon.name,
    taxon.taxon_key,
    taxon.leaf_end - taxon.leaf_begin as species,
    coalesce(sides.train, 0) as train,
    coalesce(sides.validation, 0) as validation,
    coalesce(judged.photos, 0)::bigint as judged,
    coalesce(judged.recognised, 0)::bigint as recognised,
    coalesce(judged.within, 0)::bigint as within,
    coalesce(answered.photos, 0) as answered,
    answered.depth as answer_depth,
    coalesce(answered.right_answers, 0) as right_answers,
    confused.name as confused_with,
    coalesce(confused.photos, 0)::bigint as confused_times
from taxonomy as taxon
left join sides on taxon.node_id = sides.node_id
left join judged on taxon.node_id = judged.node_id
left join answered on taxon.node_id = answered.node_id
left join confused on taxon.node_id = confused.node_id
where taxon.depth > 0
order by taxon.node_id
