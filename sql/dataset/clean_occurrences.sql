-- Purpose: the occurrences that every rule lets pass, with accepted species and one lineage for each species.
-- Grain: one row per occurrence_key.
-- Inputs: verdicts (the rows of occurrence_verdicts.sql).
-- Parameters: none.
select
    occurrence_key,
    observation_id,
    dataset_key,
    checklist_key,
    taxon_key,
    kingdom,
    phylum,
    class,
    "order",
    family,
    genus,
    species,
    licence,
    country,
    event_date,
    accepted_taxon_key,
    species_key,
    kingdom_key,
    phylum_key,
    class_key,
    order_key,
    family_key,
    genus_key,
    scientific_name,
    taxon_rank,
    taxonomic_status,
    issue,
    decimal_latitude,
    decimal_longitude,
    coordinate_uncertainty_m,
    information_withheld,
    observer
from verdicts
where rule is null
order by occurrence_key
