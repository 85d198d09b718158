-- Purpose: the species of the last dataset that the next one does not have, and why.
-- Grain: one row per species; the one that had most photographs first.
-- Inputs: losses.
-- Parameters: none.
select
    taxon_key,
    species,
    any_value(photos_before) as photos,
    string_agg(photos || ' ' || reason, ', ' order by photos desc, reason asc) as why
from losses
where photos_after = 0
group by taxon_key, species
order by photos desc, species asc, taxon_key asc
