-- Purpose: how many species the photographs to fetch show.
-- Grain: one row.
-- Inputs: photo_index, clean_occurrences.
-- Parameters: none.
select count(distinct clean_occurrences.species_key) as species
from photo_index
inner join clean_occurrences on photo_index.occurrence_key = clean_occurrences.occurrence_key
