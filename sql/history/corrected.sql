-- Purpose: the photographs and records that are as a person has corrected them.
-- Grain: one row per photo_id, and one per occurrence_key.
-- Inputs: corrections (those of records), clean_occurrences, removed_records and removed_photos (the rejections of the
--   stages clean_occurrences and photo_index).
-- Parameters: none.
select
    'photograph' as kind,
    key
from removed_photos
where rule = 'correction'
union
select
    'record' as kind,
    key
from removed_records
where rule = 'correction'
union
select
    'record' as kind,
    clean_occurrences.occurrence_key as key
from corrections
inner join clean_occurrences
    on
        (
            corrections.occurrence_key = clean_occurrences.occurrence_key
            or (corrections.occurrence_key is null and corrections.observation_id = clean_occurrences.observation_id)
        )
        and (
            corrections.species = clean_occurrences.species_key
            or lower(corrections.species) = lower(clean_occurrences.species)
        )
where corrections.action = 'identify' and corrections.problem is null
