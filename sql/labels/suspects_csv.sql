-- Purpose: the suspects as a file of corrections (labels.corrections) that a person fills in.
-- Grain: one row per photograph that may have the wrong name, or is among the first; the most suspicious first.
-- Inputs: suspects, taxonomy.
-- Parameters: $most, how many of the first are listed whatever they are.
-- A name that two species share is written as the key. Text that a spreadsheet would take for a formula begins with an
--   apostrophe.
with names as (
    select name
    from taxonomy
    where class_id is not null
    group by name
    having count(*) > 1
),

listed as (
    select
        suspects.*,
        case
            when suspects.suggested_species in (select names.name from names) then suspects.suggested_taxon_key
            else suspects.suggested_species
        end as proposed,
        case
            when suspects.species in (select names.name from names) then suspects.taxon_key
            else suspects.species
        end as present
    from suspects
    where suspects.is_issue or suspects.suspicion_rank <= $most
)

select
    photo_id,
    occurrence_key,
    observation_id,
    null as action,
    case when regexp_matches(proposed, '^[=+@\t\r-]') then '''' else '' end || proposed as species,
    case when regexp_matches(present, '^[=+@\t\r-]') then '''' else '' end || present as given,
    null as who,
    null as why,
    suspicion_rank,
    split,
    self_confidence,
    suggested_probability,
    meet_rank,
    near_duplicate
from listed
order by suspicion_rank
