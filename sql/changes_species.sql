-- Purpose: the species whose photographs became more or fewer, those that changed most first.
-- Grain: one row per species of either release that gained or lost a photograph.
-- Inputs: changes.
-- Parameters: $most, how many species.
-- A re-identified photograph is lost by one species and gained by another.
with moves as (
    select
        species_key_after as species_key,
        species_after as species,
        1 as gained,
        0 as lost
    from changes
    where change in ('new', 're-identified')
    union all
    select
        species_key_before as species_key,
        species_before as species,
        0 as gained,
        1 as lost
    from changes
    where change in ('gone', 're-identified')
)

select
    species_key,
    max(species) as species,
    sum(gained)::bigint as gained,
    sum(lost)::bigint as lost
from moves
group by species_key
order by abs(sum(gained) - sum(lost)) desc, sum(gained) + sum(lost) desc, max(species) asc, species_key asc
limit $most
