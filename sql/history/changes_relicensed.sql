-- Purpose: the photographs whose licence has changed since the snapshot before, and what that did to them.
-- Grain: one row per photograph; those that left first, then those that entered.
-- Inputs: changes, clean_occurrences.
-- Parameters: $most, how many rows.
-- effect: `left` where the new licence keeps the photograph out, `entered` where the old one did, else `stays`.
with relicensed as (
    select
        photo_id,
        coalesce(occurrence_key_after, occurrence_key_before) as occurrence_key,
        coalesce(species_after, species_before) as species,
        licence_before,
        licence_after,
        case when url_after is null then 'left' when url_before is null then 'entered' else 'stays' end as effect
    from changes
    where change = 'relicensed'
)

select
    relicensed.effect,
    relicensed.photo_id,
    relicensed.occurrence_key,
    clean_occurrences.observation_id,
    relicensed.species,
    relicensed.licence_before,
    relicensed.licence_after
from relicensed
left join clean_occurrences on relicensed.occurrence_key = clean_occurrences.occurrence_key
order by list_position(['left', 'entered', 'stays'], relicensed.effect), relicensed.species, relicensed.photo_id
limit $most
