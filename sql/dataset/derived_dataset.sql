-- Purpose: what GBIF asks for to register a derived dataset: its source datasets and how much of each is used.
-- Grain: one row per source dataset; occurrences that came without a dataset key cannot be registered.
-- Inputs: split, genus_photos, clean_occurrences.
-- Parameters: none.
with used as (
    select occurrence_key from split
    union
    select occurrence_key from genus_photos
)

select
    clean_occurrences.dataset_key,
    count(*) as count
from used
inner join clean_occurrences on used.occurrence_key = clean_occurrences.occurrence_key
where clean_occurrences.dataset_key is not null
group by clean_occurrences.dataset_key
order by clean_occurrences.dataset_key
