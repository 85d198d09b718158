-- Purpose: what each occurrence is called under this taxonomy, for the comparison with the next one.
-- Grain: one row per clean occurrence.
-- Inputs: clean_occurrences.
-- Parameters: none.
select
    occurrence_key,
    checklist_key,
    species_key
from clean_occurrences
order by species_key, occurrence_key
