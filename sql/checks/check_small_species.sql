-- Purpose: species that should have been left out because they have too few usable photographs.
-- Grain: one row per offending species.
-- Inputs: species.
-- Parameters: $minimum, the least number of usable photographs.
select
    taxon_key,
    species,
    photos
from species
where photos < $minimum
order by species, taxon_key
