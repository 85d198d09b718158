-- Purpose: put the occurrences of other checklists under the keys and names of one checklist, by a crosswalk.
-- Grain: one row per row of occurrences, in the same columns.
-- Inputs: occurrences, crosswalk (from_checklist, from_key, to_checklist, to_key).
-- Parameters: $checklist, the key of the taxonomy that the dataset follows.
-- A row is translated where its species and every higher taxon that it names by key have exactly one target; half a
--   lineage would make a second genus or family beside the right one. All other rows stay as they are, under their own
--   checklist, and are left to the rules.
-- Names follow the rows that came in the wanted checklist; a taxon that none of them has keeps its own name.
with targets as (
    select
        from_checklist,
        from_key,
        min(to_key) as to_key
    from crosswalk
    where to_checklist = $checklist
    group by from_checklist, from_key
    having count(distinct to_key) = 1
),

lineages as (
    select
        checklist_key,
        [kingdom_key, phylum_key, class_key, order_key, family_key, genus_key, species_key] as keys,
        [kingdom, phylum, class, "order", family, genus, species] as names,
        count(*) as frequency
    from occurrences
    where species_key is not null
    group by all
),

steps as (
    select
        checklist_key,
        keys,
        names,
        frequency,
        unnest(range(1, 8)) as place
    from lineages
),

known_names as (
    select
        keys[place] as taxon_key,
        arg_max(names[place], (frequency, names[place])) as name
    from steps
    where checklist_key = $checklist and keys[place] is not null
    group by keys[place]
),

translations as (
    select
        steps.checklist_key,
        steps.keys,
        steps.names,
        list(targets.to_key order by steps.place) as to_keys,
        list(coalesce(known_names.name, steps.names[steps.place]) order by steps.place) as to_names
    from steps
    left join targets on steps.checklist_key = targets.from_checklist and steps.keys[steps.place] = targets.from_key
    left join known_names on targets.to_key = known_names.taxon_key
    where steps.checklist_key <> $checklist
    group by steps.checklist_key, steps.keys, steps.names
    having bool_and(steps.keys[steps.place] is null or targets.to_key is not null)
),

keyed as (
    select
        *,
        [kingdom_key, phylum_key, class_key, order_key, family_key, genus_key, species_key] as keys,
        [kingdom, phylum, class, "order", family, genus, species] as names
    from occurrences
)

select
    keyed.occurrence_key,
    keyed.observation_id,
    keyed.dataset_key,
    case when translations.keys is null then keyed.checklist_key else $checklist end as checklist_key,
    case when translations.keys is null then keyed.taxon_key else translations.to_keys[7] end as taxon_key,
    case when translations.keys is null then keyed.kingdom else translations.to_names[1] end as kingdom,
    case when translations.keys is null then keyed.phylum else translations.to_names[2] end as phylum,
    case when translations.keys is null then keyed.class else translations.to_names[3] end as class,
    case when translations.keys is null then keyed."order" else translations.to_names[4] end as "order",
    case when translations.keys is null then keyed.family else translations.to_names[5] end as family,
    case when translations.keys is null then keyed.genus else translations.to_names[6] end as genus,
    case when translations.keys is null then keyed.species else translations.to_names[7] end as species,
    keyed.licence,
    keyed.country,
    keyed.event_date,
    case when translations.keys is null then keyed.accepted_taxon_key else translations.to_keys[7] end
        as accepted_taxon_key,
    case when translations.keys is null then keyed.species_key else translations.to_keys[7] end as species_key,
    case when translations.keys is null then keyed.kingdom_key else translations.to_keys[1] end as kingdom_key,
    case when translations.keys is null then keyed.phylum_key else translations.to_keys[2] end as phylum_key,
    case when translations.keys is null then keyed.class_key else translations.to_keys[3] end as class_key,
    case when translations.keys is null then keyed.order_key else translations.to_keys[4] end as order_key,
    case when translations.keys is null then keyed.family_key else translations.to_keys[5] end as family_key,
    case when translations.keys is null then keyed.genus_key else translations.to_keys[6] end as genus_key,
    keyed.scientific_name,
    keyed.taxon_rank,
    keyed.taxonomic_status,
    keyed.issue,
    keyed.decimal_latitude,
    keyed.decimal_longitude,
    keyed.coordinate_uncertainty_m,
    keyed.information_withheld,
    keyed.observer,
    keyed.occurrence_status,
    keyed.individual_count,
    keyed.verbatim_name,
    keyed.identification_qualifier
from keyed
left join translations
    on
        keyed.checklist_key = translations.checklist_key
        and keyed.keys = translations.keys
        and keyed.names = translations.names
