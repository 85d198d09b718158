-- Purpose: the verdicts on occurrences as a person has corrected them.
-- Grain: as occurrence_verdicts.sql; a record that was dropped has the rule `correction`.
-- Inputs: verdicts (the rows of occurrence_verdicts.sql), corrections (the rows of correction_verdicts.sql).
-- Parameters: none.
-- A record under a new name is as one that GBIF has identified anew: it has the species' lineage and key, and an
--   accepted name of the rank of species.
with names as (
    select
        species_key,
        any_value(
            struct_pack(
                checklist_key := checklist_key, taxon_key := species_key,
                accepted_taxon_key := species_key, species_key := species_key, kingdom := kingdom,
                phylum := phylum, class := class, "order" := "order", family := family, genus := genus,
                species := species, kingdom_key := kingdom_key, phylum_key := phylum_key,
                class_key := class_key, order_key := order_key, family_key := family_key,
                genus_key := genus_key, scientific_name := species, taxon_rank := 'SPECIES',
                taxonomic_status := 'ACCEPTED'
            )
        ) as name
    from verdicts
    where rule is null
    group by species_key
),

paired as (
    select
        verdicts.*,
        corrections.action,
        corrections.reason,
        coalesce(
            names.name,
            struct_pack(
                checklist_key := verdicts.checklist_key, taxon_key := verdicts.taxon_key,
                accepted_taxon_key := verdicts.accepted_taxon_key, species_key := verdicts.species_key,
                kingdom := verdicts.kingdom, phylum := verdicts.phylum, class := verdicts.class,
                "order" := verdicts."order", family := verdicts.family, genus := verdicts.genus,
                species := verdicts.species, kingdom_key := verdicts.kingdom_key,
                phylum_key := verdicts.phylum_key, class_key := verdicts.class_key,
                order_key := verdicts.order_key, family_key := verdicts.family_key,
                genus_key := verdicts.genus_key, scientific_name := verdicts.scientific_name,
                taxon_rank := verdicts.taxon_rank, taxonomic_status := verdicts.taxonomic_status
            )
        ) as name
    from verdicts
    left join corrections
        on
            verdicts.rule is null
            and corrections.problem is null
            and verdicts.occurrence_key = corrections.occurrence_key
    left join names on corrections.species_key = names.species_key
)

select
    paired.occurrence_key,
    paired.observation_id,
    paired.dataset_key,
    paired.name.checklist_key,
    paired.name.taxon_key,
    paired.name.kingdom,
    paired.name.phylum,
    paired.name.class,
    paired.name."order",
    paired.name.family,
    paired.name.genus,
    paired.name.species,
    paired.licence,
    paired.country,
    paired.event_date,
    paired.name.accepted_taxon_key,
    paired.name.species_key,
    paired.name.kingdom_key,
    paired.name.phylum_key,
    paired.name.class_key,
    paired.name.order_key,
    paired.name.family_key,
    paired.name.genus_key,
    paired.name.scientific_name,
    paired.name.taxon_rank,
    paired.name.taxonomic_status,
    paired.issue,
    paired.decimal_latitude,
    paired.decimal_longitude,
    paired.coordinate_uncertainty_m,
    paired.information_withheld,
    paired.observer,
    case when paired.action = 'drop' then 'correction' else paired.rule end as rule,
    case
        when paired.action = 'drop' then concat_ws(': ', paired.species, nullif(paired.reason, ''))
        else paired.detail
    end as detail
from paired
