-- Purpose: how many media rows belong to clean occurrences, for the accounting between steps.
-- Grain: one row.
-- Inputs: media, clean_occurrences.
-- Parameters: none.
select count(*) as media
from media
where occurrence_key in (select clean_occurrences.occurrence_key from clean_occurrences)
