-- Purpose: near-identical pairs to look at, the nearest first and at most one of each validation photograph.
-- Grain: one row per pair.
-- Inputs: leakage, split, taxonomy.
-- Parameters: $pairs, how many at most.
with nearest as (
    select *
    from leakage
    qualify row_number() over (partition by validation_photo order by distance, train_photo) = 1
)

select
    nearest.distance,
    validation.path as validation_path,
    train.path as train_path,
    validation_name.name as validation_species,
    train_name.name as train_species
from nearest
inner join split as validation on nearest.validation_photo = validation.photo_id
inner join split as train on nearest.train_photo = train.photo_id
inner join taxonomy as validation_name on nearest.validation_class = validation_name.class_id
inner join taxonomy as train_name on nearest.train_class = train_name.class_id
order by nearest.validation_class <> nearest.train_class desc, nearest.distance asc, nearest.validation_photo asc
limit $pairs
