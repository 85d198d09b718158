-- Purpose: the species that the networks learn: those with enough usable photographs, with lineage and counts.
-- Grain: one row per accepted species.
-- Inputs: verdicts (the rows of photo_verdicts.sql), clean_occurrences.
-- Parameters: none.
with kept as (
    select
        species_key,
        count(*) as photos,
        count(distinct observation_id) as observations
    from verdicts
    where rule is null
    group by species_key
),

lineages as (
    -- Every clean occurrence of a species carries the same lineage.
    select distinct
        species_key,
        checklist_key,
        kingdom,
        phylum,
        class,
        "order",
        family,
        genus,
        species,
        kingdom_key,
        phylum_key,
        class_key,
        order_key,
        family_key,
        genus_key
    from clean_occurrences
)

select
    kept.species_key as taxon_key,
    lineages.* exclude (species_key),
    kept.photos,
    kept.observations
from kept
inner join lineages on kept.species_key = lineages.species_key
order by lineages.species, kept.species_key
