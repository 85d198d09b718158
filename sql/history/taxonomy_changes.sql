-- Purpose: how many taxa of each rank changed in which way, for the user interface.
-- Grain: one row per rank and change.
-- Inputs: taxonomy_diff.
-- Parameters: none.
select
    rank,
    change,
    count(*) as taxa
from taxonomy_diff
group by rank, change
order by list_position(['kingdom', 'phylum', 'class', 'order', 'family', 'genus', 'species'], rank), change
