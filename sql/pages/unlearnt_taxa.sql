-- Purpose: taxa of the clean occurrences with a given key or name, for taxa that no species of the tree is of.
-- Grain: one row per taxon.
-- Inputs: clean_occurrences.
-- Parameters: $key, the key as it is; $folded, the name in lower case.
with ranked as (
    select
        unnest([
            struct_pack(rank := 'kingdom', key := kingdom_key, lineage := [kingdom]),
            struct_pack(rank := 'phylum', key := phylum_key, lineage := [kingdom, phylum]),
            struct_pack(rank := 'class', key := class_key, lineage := [kingdom, phylum, class]),
            struct_pack(rank := 'order', key := order_key, lineage := [kingdom, phylum, class, "order"]),
            struct_pack(rank := 'family', key := family_key, lineage := [kingdom, phylum, class, "order", family]),
            struct_pack(
                rank := 'genus', key := genus_key, lineage := [kingdom, phylum, class, "order", family, genus]
            ),
            struct_pack(
                rank := 'species',
                key := species_key,
                lineage := [kingdom, phylum, class, "order", family, genus, species]
            )
        ]) as taxon
    from clean_occurrences
    where
        $key in (kingdom_key, phylum_key, class_key, order_key, family_key, genus_key, species_key)
        or $folded in (
            lower(kingdom), lower(phylum), lower(class), lower("order"), lower(family), lower(genus), lower(species)
        )
)

select
    taxon.rank,
    taxon.key,
    min(taxon.lineage) as lineage
from ranked
where taxon.key is not null and (taxon.key = $key or lower(taxon.lineage[-1]) = $folded)
group by taxon.rank, taxon.key
order by taxon.rank, taxon.key
