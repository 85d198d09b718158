-- Purpose: the wanted taxa that no occurrence names, neither as itself nor in its lineage.
-- Grain: one row per taxon key.
-- Inputs: occurrences.
-- Parameters: $taxon_keys, the wanted ones.
with named as (
    select distinct
        unnest([
            taxon_key, accepted_taxon_key, species_key, genus_key, family_key, order_key, class_key, phylum_key,
            kingdom_key
        ]) as named_key
    from occurrences
),

wanted as (
    select unnest($taxon_keys::varchar[]) as taxon_key
)

select wanted.taxon_key
from wanted
left join named on wanted.taxon_key = named.named_key
where named.named_key is null
order by wanted.taxon_key
