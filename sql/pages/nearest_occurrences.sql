-- Purpose: the clean occurrences with the nearest coordinates beyond a distance, before any rule says which count.
-- Grain: one row per clean occurrence, with the columns of box_occurrences.sql and distance_km; at most $most.
-- Inputs: all_occurrences (clean_occurrences.parquet).
-- Parameters: $latitude, $longitude, the place in degrees; $beyond_km, the distance; $taxon_keys, keys of the taxa, of
--   any rank (empty: all); $most, how many.
-- Distance: as in place_records.sql.
with measured as (
    select
        occurrence_key,
        2 * 6371.0088 * asin(least(1, sqrt(
            pow(sin(radians(decimal_latitude - $latitude::double) / 2), 2)
            + cos(radians(decimal_latitude)) * cos(radians($latitude::double))
            * pow(sin(radians(decimal_longitude - $longitude::double) / 2), 2)
        ))) as distance_km
    from all_occurrences
    where
        decimal_latitude between -90 and 90
        and decimal_longitude between -180 and 180
        and (
            len($taxon_keys::varchar[]) = 0
            or list_has_any(
                $taxon_keys::varchar[],
                [species_key, genus_key, family_key, order_key, class_key, phylum_key, kingdom_key]
            )
        )
),

nearest as (
    select
        occurrence_key,
        distance_km
    from measured
    where distance_km > $beyond_km::double
    order by distance_km, occurrence_key
    limit $most
)

select
    all_occurrences.occurrence_key,
    all_occurrences.species_key,
    all_occurrences.kingdom,
    all_occurrences.phylum,
    all_occurrences.class,
    all_occurrences."order",
    all_occurrences.family,
    all_occurrences.genus,
    all_occurrences.species,
    all_occurrences.country,
    all_occurrences.issue,
    all_occurrences.event_date,
    all_occurrences.decimal_latitude,
    all_occurrences.decimal_longitude,
    all_occurrences.coordinate_uncertainty_m,
    all_occurrences.information_withheld,
    '' as observation_id,
    null::varchar as observer,
    nearest.distance_km
from all_occurrences
inner join nearest on all_occurrences.occurrence_key = nearest.occurrence_key
