-- Purpose: occurrences as a split that is no split, so that places.sql judges those, too, that no network learns.
-- Grain: one row per occurrence.
-- Inputs: clean_occurrences.
-- Parameters: none.
select
    occurrence_key,
    observation_id,
    0 as class_id,
    'train' as split
from clean_occurrences
