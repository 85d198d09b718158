-- Purpose: what is different in the photo index of a snapshot: new, gone, re-identified and relicensed photographs.
-- Grain: one row per photo_id and change; a photograph can be relicensed beside any other change.
-- Inputs: earlier, later (the rows of snapshot_index.sql for two snapshots). Without an address a photograph is not in
--   the index: its licence keeps it out. And corrected (the rows of corrected.sql): what a person's corrections have
--   changed has the note `correction`.
-- Parameters: $same_checklist, whether species keys of the two snapshots mean the same; where not, names are compared.
-- A photograph that moved to another occurrence of the same species is the same photograph.
with paired as (
    select
        coalesce(later.photo_id, earlier.photo_id) as photo_id,
        earlier.url is not null as was_used,
        later.url is not null as is_used,
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
    where earlier.url is not null or later.url is not null
),

named as (
    select
        case
            when not was_used then ['new']
            when not is_used then ['gone']
            when $same_checklist and species_key_before <> species_key_after then ['re-identified']
            when not $same_checklist and species_before <> species_after then ['re-identified']
            else []
        end
        || case when licence_before <> licence_after then ['relicensed'] else [] end as kinds,
        * exclude (was_used, is_used)
    from paired
),

changed as (
    select
        unnest(kinds) as change,
        * exclude (kinds)
    from named
),

records as (
    select key from corrected
    where kind = 'record'
),

photographs as (
    select key from corrected
    where kind = 'photograph'
)

select
    *,
    case
        when change = 're-identified' and occurrence_key_after in (select records.key from records) then 'correction'
        when change = 'gone' and occurrence_key_before in (select records.key from records) then 'correction'
        when change = 'gone' and photo_id in (select photographs.key from photographs) then 'correction'
    end as note
from changed
order by photo_id, change
