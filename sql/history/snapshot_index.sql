-- Purpose: what is remembered of the photo index of a snapshot, so that the next one can be compared with it.
-- Grain: one row per photo_id.
-- Inputs: photo_index, clean_occurrences.
-- Parameters: none.
select
    photo_index.photo_id,
    photo_index.occurrence_key,
    clean_occurrences.species_key,
    clean_occurrences.species,
    photo_index.licence,
    photo_index.url
from photo_index
inner join clean_occurrences on photo_index.occurrence_key = clean_occurrences.occurrence_key
order by photo_index.photo_id
