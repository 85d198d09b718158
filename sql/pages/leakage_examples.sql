-- Purpose: near-identical pairs to look at, the nearest first and at most one of each validation photograph.
-- Grain: one row per pair.
-- Inputs: leakage, split, taxonomy, photos.
-- Parameters: $pairs, how many at most; $any_licence, whether photographs without an open licence (Creative Commons,
--   public domain) are shown, too.
with shown as (
    select
        split.photo_id,
        split.occurrence_key,
        split.path,
        photos.url,
        coalesce(photos.licence, 'unknown') as licence,
        coalesce(photos.rights_holder, photos.creator, 'unknown holder') as credit
    from split
    inner join photos on split.photo_id = photos.photo_id
    where $any_licence or regexp_matches(photos.licence, '^(CC|PDM)')
),

nearest as (
    select leakage.*
    from leakage
    where
        leakage.validation_photo in (select shown.photo_id from shown)
        and leakage.train_photo in (select shown.photo_id from shown)
    qualify row_number() over (
        partition by leakage.validation_photo order by leakage.distance, leakage.train_photo
    ) = 1
)

select
    nearest.distance,
    validation.photo_id as validation_photo,
    validation.occurrence_key as validation_occurrence,
    validation.path as validation_path,
    validation.url as validation_url,
    validation.licence as validation_licence,
    validation.credit as validation_credit,
    train.photo_id as train_photo,
    train.occurrence_key as train_occurrence,
    train.path as train_path,
    train.url as train_url,
    train.licence as train_licence,
    train.credit as train_credit,
    validation_name.name as validation_species,
    train_name.name as train_species
from nearest
inner join shown as validation on nearest.validation_photo = validation.photo_id
inner join shown as train on nearest.train_photo = train.photo_id
inner join taxonomy as validation_name on nearest.validation_class = validation_name.class_id
inner join taxonomy as train_name on nearest.train_class = train_name.class_id
order by nearest.validation_class <> nearest.train_class desc, nearest.distance asc, nearest.validation_photo asc
limit $pairs
