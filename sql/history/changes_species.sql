-- Purpose: the species that gained most, and lost most, photographs since the snapshot before.
-- Grain: one row per species; the greatest gain first, the greatest loss last.
-- Inputs: changes.
-- Parameters: $most, how many species that gained, and how many that lost.
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
),

summed as (
    select
        species_key,
        max(species) as species,
        sum(gained)::bigint as gained,
        sum(lost)::bigint as lost
    from moves
    group by species_key
),

ranked as (
    select
        *,
        row_number() over (order by gained - lost desc, species asc, species_key asc) as place_of_gain,
        row_number() over (order by lost - gained desc, species asc, species_key asc) as place_of_loss
    from summed
)

select
    species_key,
    species,
    gained,
    lost
from ranked
where (gained > lost and place_of_gain <= $most) or (lost > gained and place_of_loss <= $most)
order by gained - lost desc, species asc, species_key asc
