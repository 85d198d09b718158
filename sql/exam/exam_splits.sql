-- Purpose: species that were one to older model versions and are several now.
-- Grain: one row per pair of a species and one that was split off it.
-- Inputs: splits (the last version of this table), class_map, taxonomy.
-- Parameters: none.
-- A pair leaves when what was split off is no species of the taxonomy any more.
with pairs as (
    select
        checklist_key,
        taxon_key,
        part_checklist_key,
        part_taxon_key
    from splits
    union
    select
        old_checklist_key as checklist_key,
        old_taxon_key as taxon_key,
        checklist_key as part_checklist_key,
        taxon_key as part_taxon_key
    from class_map
    where change = 'split'
)

select pairs.*
from pairs
inner join taxonomy as part
    on
        pairs.part_taxon_key = part.taxon_key
        and pairs.part_checklist_key is not distinct from part.checklist_key
        and part.rank = 'species'
order by pairs.checklist_key, pairs.taxon_key, pairs.part_checklist_key, pairs.part_taxon_key
