-- Purpose: the clean occurrences in a box of latitudes and longitudes, and in taxa, with what a list of a place reads.
-- Grain: one row per clean occurrence whose coordinates, as published, lie in the box.
-- Inputs: all_occurrences (clean_occurrences.parquet).
-- Parameters: $south, $north, $west, $east, $west_beyond, $east_beyond, the box in degrees, with two spans of
--   longitudes; $taxon_keys, keys of the taxa, of any rank (empty: all).
-- Observations, observers: the list asks for neither, and their texts would fill memory.
select
    occurrence_key,
    '' as observation_id,
    species_key,
    kingdom,
    phylum,
    class,
    "order",
    family,
    genus,
    species,
    country,
    issue,
    event_date,
    decimal_latitude,
    decimal_longitude,
    coordinate_uncertainty_m,
    information_withheld,
    null::varchar as observer
from all_occurrences
where
    decimal_latitude between $south::double and $north::double
    and (
        decimal_longitude between $west::double and $east::double
        or decimal_longitude between $west_beyond::double and $east_beyond::double
    )
    and (
        len($taxon_keys::varchar[]) = 0
        or list_has_any(
            $taxon_keys::varchar[],
            [species_key, genus_key, family_key, order_key, class_key, phylum_key, kingdom_key]
        )
    )
