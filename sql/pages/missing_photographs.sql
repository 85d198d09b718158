-- Purpose: how many usable photographs species have that have too few to be learnt.
-- Grain: one row per species that has some.
-- Inputs: rejections, photos, clean_occurrences.
-- Parameters: $species_keys, the species.
with rare as (
    select
        occurrence_key,
        species_key
    from clean_occurrences
    where list_contains($species_keys::varchar[], species_key)
),

taken as (
    select
        photos.photo_id,
        rare.species_key
    from photos
    inner join rare on photos.occurrence_key = rare.occurrence_key
)

select
    taken.species_key,
    count(*) as photographs
from taken
inner join rejections on taken.photo_id = rejections.key
where rejections.stage = 'species' and rejections.rule = 'too_few_images'
group by taken.species_key
