-- Purpose: photographs that were re-identified or relicensed, to look at; first those that their licence took away.
-- Grain: one row per photograph and change.
-- Inputs: changes.
-- Parameters: $change, re-identified or relicensed; $most, how many.
-- A photograph without an address after the change has left the index: its new licence is none of those allowed.
select
    photo_id,
    coalesce(occurrence_key_after, occurrence_key_before) as occurrence_key,
    coalesce(url_after, url_before) as url,
    species_before,
    species_after,
    licence_before,
    licence_after,
    url_after is null as has_left
from changes
where change = $change
order by has_left desc, licence_after = 'all rights reserved' desc, coalesce(species_after, species_before), photo_id
limit $most
