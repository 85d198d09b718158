-- Purpose: the photographs that the next dataset keeps, each with its species: what a later one is compared with.
-- Grain: one row per photograph.
-- Inputs: verdicts (the rows of photo_verdicts.sql), photos, clean_occurrences.
-- Parameters: none.
select
    verdicts.photo_id,
    photos.occurrence_key,
    clean_occurrences.checklist_key,
    verdicts.species_key as taxon_key,
    verdicts.species
from verdicts
inner join photos on verdicts.photo_id = photos.photo_id
inner join clean_occurrences on photos.occurrence_key = clean_occurrences.occurrence_key
where verdicts.rule is null
order by verdicts.photo_id
