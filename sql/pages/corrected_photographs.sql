-- Purpose: photographs that a person's corrections have changed since the snapshot before.
-- Grain: one row per photograph, those under another species first.
-- Inputs: changes.
-- Parameters: $most, how many.
select
    photo_id,
    coalesce(occurrence_key_after, occurrence_key_before) as occurrence_key,
    coalesce(url_after, url_before) as url,
    species_before,
    species_after
from changes
where note = 'correction'
order by species_after nulls last, species_before, photo_id
limit $most
