-- Purpose: the species that were recorded at a place or near by, with how often, when, and how surely there.
-- Grain: one row per species.
-- Inputs: records (the rows of place_records.sql).
-- Parameters: $months, the months that count (1 to 12); empty: all, with records of no known month.
-- Lineage: every clean occurrence of a species carries the same one.
select
    species_key as taxon_key,
    any_value(species) as species,
    any_value(kingdom) as kingdom,
    any_value(phylum) as phylum,
    any_value(class) as class,
    any_value("order") as "order",
    any_value(family) as family,
    any_value(genus) as genus,
    count(*) filter (where here) as records,
    count(*) filter (where here and (len($months::integer[]) = 0 or list_contains($months::integer[], month)))
        as records_in_season,
    count(*) filter (where not here) as records_near,
    count(*) filter (where here and perhaps_outside) as perhaps_outside,
    count(*) filter (where here and obscured) as obscured,
    min(distance_km) as nearest_km,
    min(year) as first_year,
    max(year) as last_year,
    histogram(month) filter (where here) as months,
    histogram(month) filter (where not here) as months_near
from records
group by species_key
order by records_in_season desc, records desc, species asc, taxon_key asc
