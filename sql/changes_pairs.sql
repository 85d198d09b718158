-- Purpose: what photographs were re-identified from and to, the most frequent pairs first.
-- Grain: one row per pair of species.
-- Inputs: changes.
-- Parameters: $most, how many pairs.
select
    species_before,
    species_after,
    count(*)::bigint as photographs
from changes
where change = 're-identified'
group by species_key_before, species_key_after, species_before, species_after
order by photographs desc, species_before asc, species_after asc
limit $most
