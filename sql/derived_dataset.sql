-- Purpose: what GBIF asks for to register a derived dataset: its source datasets and how much of each is used.
-- Grain: one row per source dataset; occurrences that came without a dataset key cannot be registered.
-- Inputs: split, clean_occurrences.
-- Parameters: none.
select
    clean_occurrences.dataset_key,
    count(distinct split.occurrence_key) as count
from split
inner join clean_occurrences on split.occurrence_key = clean_occurrences.occurrence_key
where clean_occurrences.dataset_key is not null
group by clean_occurrences.dataset_key
order by clean_occurrences.dataset_key
