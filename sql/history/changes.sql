-- Purpose: what is different in the photo index of a snapshot: new, gone, re-identified and relicensed photographs.
-- Grain: one row per photo_id and change; a photograph can be both re-identified and relicensed.
-- Inputs: earlier, later (the rows of snapshot_index.sql for two snapshots).
-- Parameters: $same_checklist, whether species keys of the two snapshots mean the same; where not, names are compared.
-- A photograph that moved to another occurrence of the same species is the same photograph.
with paired as (
    select
        coalesce(later.photo_id, earlier.photo_id) as photo_id,
        earlier.photo_id is null as is_new,
        later.photo_id is null as is_gone,
        earlier.occurrence_key as occurrence_key_before,
        later.occurrence_key as occurrence_key_after,
        earlier.species_key as species_key_before,
        later.species_key as species_key_after,
        earlier.species as species_before,
        later.species as species_after,
        earlier.licence as licence_before,
        later.licence as licence_after,
        earlier.url as url_before,
        later.url as url_after
    from earlier
    full outer join later on earlier.photo_id = later.photo_id
),

named as (
    select
        case
            when is_new then ['new']
            when is_gone then ['gone']
            else
                case
                    when $same_checklist and species_key_before <> species_key_after then ['re-identified']
                    when not $same_checklist and species_before <> species_after then ['re-identified']
                    else []
                end
                || case when licence_before <> licence_after then ['relicensed'] else [] end
        end as kinds,
        * exclude (is_new, is_gone)
    from paired
)

select
    unnest(kinds) as change,
    * exclude (kinds)
from named
order by photo_id, change
