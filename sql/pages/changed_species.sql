-- Purpose: the species that entered or left the dataset, or are called otherwise, since the last other taxonomy.
-- Grain: one row per change of one species.
-- Inputs: taxonomy_diff.
-- Parameters: $most, how many.
select
    change,
    name,
    old_name,
    coalesce(parent, old_parent) as genus
from taxonomy_diff
where rank = 'species'
order by change, coalesce(name, old_name), old_name
limit $most
