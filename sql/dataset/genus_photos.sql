-- Purpose: photographs of species that are too rare to be classes, for the stage that learns genera.
-- Grain: one row per photograph; only of the training side, and only of genera that are in the tree.
-- Inputs: photos, clean_occurrences, removed (the rejections of the stage species), species, taxonomy.
-- Parameters: $unit ('observation', 'photo' or 'observer'), $seed, $validation (share of the validation side): as in
--   split.sql, so that a species that grows over the minimum brings no photograph from training to validation.
-- A genus is found by its whole lineage, names and keys, so that homonyms stay apart.
with observers as (
    select
        observation_id,
        min(observer) as observer
    from clean_occurrences
    where $unit = 'observer' and observer is not null
    group by observation_id
),

genera as (
    select distinct
        taxonomy.parent_id as node_id,
        row(
            species.kingdom, species.phylum, species.class, species."order", species.family, species.genus,
            species.kingdom_key, species.phylum_key, species.class_key, species.order_key, species.family_key,
            species.genus_key
        ) as lineage
    from species
    inner join taxonomy on species.taxon_key = taxonomy.taxon_key and taxonomy.rank = 'species'
    where species.genus is not null
),

rare as (
    select
        photos.photo_id,
        photos.path,
        clean_occurrences.occurrence_key,
        clean_occurrences.observation_id,
        clean_occurrences.species_key,
        clean_occurrences.species,
        case $unit
            when 'photo' then photos.photo_id
            when 'observer' then coalesce(observers.observer, clean_occurrences.observation_id)
            else clean_occurrences.observation_id
        end as unit,
        row(
            kingdom, phylum, class, "order", family, genus,
            kingdom_key, phylum_key, class_key, order_key, family_key, genus_key
        ) as lineage
    from photos
    inner join removed on photos.photo_id = removed.key and removed.rule = 'too_few_images'
    inner join clean_occurrences on photos.occurrence_key = clean_occurrences.occurrence_key
    left join observers on clean_occurrences.observation_id = observers.observation_id
)

select
    rare.photo_id,
    rare.occurrence_key,
    rare.observation_id,
    rare.species_key as taxon_key,
    rare.species,
    genera.node_id,
    rare.path
from rare
inner join genera on rare.lineage = genera.lineage
where md5_number_lower(rare.unit || ':' || $seed) % 1000000 >= $validation * 1000000
order by rare.photo_id
