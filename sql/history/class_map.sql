-- Purpose: where each class of the last taxonomy went, and where each class of this one comes from.
-- Grain: one row per pair of an old and a present class; an old class that is gone has no new_class_id, a new class
--   has no old_class_id.
-- Inputs: old_taxonomy, old_observations (occurrence_key, checklist_key, species_key under the last taxonomy),
--   taxonomy, clean_occurrences, crosswalk (from_checklist, from_key, to_checklist, to_key).
-- Parameters: none.
-- A species that is in both trees maps to itself, by checklist and key. A species with a key that is gone maps to the
--   species of which the key is now a synonym, else to the one that the crosswalk names, else to the one that has most
--   of its occurrences. A new species comes from the one that had most of its known occurrences.
with old_classes as (
    select
        class_id,
        checklist_key,
        taxon_key,
        name
    from old_taxonomy
    where class_id is not null
),

classes as (
    select
        class_id,
        checklist_key,
        taxon_key,
        name
    from taxonomy
    where class_id is not null
),

same as (
    select
        old_classes.class_id as old_class_id,
        classes.class_id as new_class_id
    from old_classes
    inner join classes
        on
            old_classes.taxon_key = classes.taxon_key
            and old_classes.checklist_key is not distinct from classes.checklist_key
),

gone as (
    select * from old_classes
    where class_id not in (select same.old_class_id from same)
),

fresh as (
    select * from classes
    where class_id not in (select same.new_class_id from same)
),

flows as (
    select
        old_observations.checklist_key as old_checklist_key,
        old_observations.species_key as old_taxon_key,
        clean_occurrences.checklist_key,
        clean_occurrences.species_key as taxon_key,
        count(*) as occurrences
    from old_observations
    inner join clean_occurrences on old_observations.occurrence_key = clean_occurrences.occurrence_key
    group by all
),

-- Occurrences that two classes have in common.
shared as (
    select
        old_classes.class_id as old_class_id,
        classes.class_id as new_class_id,
        flows.occurrences
    from flows
    inner join old_classes
        on
            flows.old_taxon_key = old_classes.taxon_key
            and flows.old_checklist_key is not distinct from old_classes.checklist_key
    inner join classes
        on flows.taxon_key = classes.taxon_key and flows.checklist_key is not distinct from classes.checklist_key
),

synonyms as (
    select distinct
        checklist_key,
        taxon_key,
        species_key
    from clean_occurrences
    where taxon_key <> species_key
),

leaving as (
    select
        gone.class_id,
        sum(flows.occurrences) as occurrences,
        bool_or(
            flows.taxon_key = gone.taxon_key and flows.checklist_key is not distinct from gone.checklist_key
        ) as stays
    from gone
    inner join flows
        on gone.taxon_key = flows.old_taxon_key and gone.checklist_key is not distinct from flows.old_checklist_key
    group by gone.class_id
),

arriving as (
    select
        fresh.class_id,
        sum(flows.occurrences) as occurrences
    from fresh
    inner join flows
        on fresh.taxon_key = flows.taxon_key and fresh.checklist_key is not distinct from flows.checklist_key
    group by fresh.class_id
),

targets as (
    select
        gone.class_id as old_class_id,
        classes.class_id as new_class_id,
        'accepted' as how,
        1 as preference
    from gone
    inner join synonyms
        on gone.taxon_key = synonyms.taxon_key and gone.checklist_key is not distinct from synonyms.checklist_key
    inner join classes
        on
            synonyms.species_key = classes.taxon_key
            and synonyms.checklist_key is not distinct from classes.checklist_key
    union all
    select
        gone.class_id as old_class_id,
        classes.class_id as new_class_id,
        'crosswalk' as how,
        2 as preference
    from gone
    inner join crosswalk on gone.taxon_key = crosswalk.from_key and gone.checklist_key = crosswalk.from_checklist
    inner join classes on crosswalk.to_key = classes.taxon_key and crosswalk.to_checklist = classes.checklist_key
    union all
    select
        shared.old_class_id,
        shared.new_class_id,
        'observations' as how,
        3 as preference
    from shared
    inner join leaving on shared.old_class_id = leaving.class_id
    where not leaving.stays and 2 * shared.occurrences > leaving.occurrences
),

chosen as (
    select
        targets.old_class_id,
        targets.new_class_id,
        targets.how
    from targets
    left join shared
        on targets.old_class_id = shared.old_class_id and targets.new_class_id = shared.new_class_id
    qualify row_number() over (
        partition by targets.old_class_id
        order by targets.preference asc, coalesce(shared.occurrences, 0) desc, targets.new_class_id asc
    ) = 1
),

origins as (
    select
        shared.old_class_id,
        shared.new_class_id,
        'observations' as how
    from shared
    inner join arriving on shared.new_class_id = arriving.class_id
    where 2 * shared.occurrences > arriving.occurrences
),

links as (
    select
        old_class_id,
        new_class_id,
        'key' as how
    from same
    union all
    select * from chosen
    union all
    select * from origins
    where (old_class_id, new_class_id) not in (select (chosen.old_class_id, chosen.new_class_id) from chosen)
),

described as (
    select
        links.*,
        count(*) over (partition by links.old_class_id) as of_old,
        count(*) over (partition by links.new_class_id) as of_new,
        coalesce(shared.occurrences, 0) as occurrences
    from links
    left join shared on links.old_class_id = shared.old_class_id and links.new_class_id = shared.new_class_id
)

select
    old_classes.class_id as old_class_id,
    classes.class_id as new_class_id,
    classes.checklist_key,
    classes.taxon_key,
    classes.name,
    old_classes.checklist_key as old_checklist_key,
    old_classes.taxon_key as old_taxon_key,
    old_classes.name as old_name,
    case
        when described.how = 'key' then 'same'
        when old_classes.class_id is null then 'new'
        when classes.class_id is null then 'gone'
        when described.of_old > 1 then 'split'
        when described.of_new > 1 then 'merged'
        else 'renamed'
    end as change,
    described.how,
    coalesce(described.occurrences, 0)::bigint as occurrences
from old_classes
full join described on old_classes.class_id = described.old_class_id
full join classes on described.new_class_id = classes.class_id
order by new_class_id nulls last, old_class_id nulls last
