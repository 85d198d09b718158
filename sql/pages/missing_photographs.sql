-- Purpose: how many usable photographs species have that have too few to be learnt.
-- Grain: one row per species that was left out for that.
-- Inputs: rejections, photos, clean_occurrences.
-- Parameters: none.
select
    clean_occurrences.species_key,
    count(*) as photographs
from rejections
inner join photos on rejections.key = photos.photo_id
inner join clean_occurrences on photos.occurrence_key = clean_occurrences.occurrence_key
where rejections.stage = 'species' and rejections.rule = 'too_few_images'
group by clean_occurrences.species_key
