-- Purpose: usable photographs of every species, of those that were removed for having too few as well.
-- Grain: one row per species.
-- Inputs: photos, clean_occurrences, species, removed (the rejections of the stage species).
-- Parameters: none.
with usable as (
    select
        clean_occurrences.species_key,
        count(*) as photos
    from photos
    inner join clean_occurrences on photos.occurrence_key = clean_occurrences.occurrence_key
    left join removed on photos.photo_id = removed.key
    where photos.status = 'ok' and (removed.rule is null or removed.rule = 'too_few_images')
    group by clean_occurrences.species_key
)

select
    usable.photos,
    species.taxon_key is not null as kept
from usable
left join species on usable.species_key = species.taxon_key
order by usable.photos
