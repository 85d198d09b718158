-- Purpose: how far the nearest coordinates are beyond what is near by, before any rule says which places count.
-- Grain: one row; distance_km is null where there are none.
-- Inputs: all_occurrences (clean_occurrences.parquet).
-- Parameters: $latitude, $longitude, the place in degrees; $near_km, what is near by; $taxon_keys, keys of the taxa, of
--   any rank (empty: all).
-- Distance: as in place_records.sql.
with measured as (
    select
        2 * 6371.0088 * asin(least(1, sqrt(
            pow(sin(radians(decimal_latitude - $latitude::double) / 2), 2)
            + cos(radians(decimal_latitude)) * cos(radians($latitude::double))
            * pow(sin(radians(decimal_longitude - $longitude::double) / 2), 2)
        ))) as distance_km
    from all_occurrences
    where
        decimal_latitude between -90 and 90
        and decimal_longitude between -180 and 180
        and not (decimal_latitude = 0 and decimal_longitude = 0)
        and (
            len($taxon_keys::varchar[]) = 0
            or list_has_any(
                $taxon_keys::varchar[],
                [species_key, genus_key, family_key, order_key, class_key, phylum_key, kingdom_key]
            )
        )
)

select min(distance_km) as distance_km
from measured
where distance_km > $near_km::double
