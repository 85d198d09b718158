-- Purpose: the occurrences near a place, each with its distance and month.
-- Grain: one row per occurrence whose place counts and whose circle of uncertainty touches what is near by.
-- Inputs: clean_occurrences (the rows of box_occurrences.sql), places (the rows of places.sql for all of these).
-- Parameters: $latitude, $longitude, the place in degrees; $radius_km and $near_km, what is here and what is near by.
-- Distance: the haversine formula on a sphere of 6371.0088 km, right to 0.6 %.
with measured as (
    select
        occurrence_key,
        latitude,
        longitude,
        day,
        obscured,
        coalesce(uncertainty_m, 0) / 1000 as uncertainty_km,
        2 * 6371.0088 * asin(least(1, sqrt(
            pow(sin(radians(latitude - $latitude::double) / 2), 2)
            + cos(radians(latitude)) * cos(radians($latitude::double))
            * pow(sin(radians(longitude - $longitude::double) / 2), 2)
        ))) as distance_km
    from places
    where latitude is not null
)

select
    clean_occurrences.species_key,
    clean_occurrences.kingdom,
    clean_occurrences.phylum,
    clean_occurrences.class,
    clean_occurrences."order",
    clean_occurrences.family,
    clean_occurrences.genus,
    clean_occurrences.species,
    -- Of a range, its first year.
    try_cast(left(clean_occurrences.event_date, 4) as integer) as year,
    -- The days of a leap year, in which 29 February is day 60.
    month(date '2024-01-01' + (measured.day - 1)::integer) as month,
    measured.latitude,
    measured.longitude,
    measured.obscured,
    measured.distance_km,
    measured.distance_km - measured.uncertainty_km <= $radius_km::double as here,
    measured.distance_km + measured.uncertainty_km > $radius_km::double as perhaps_outside
from measured
inner join clean_occurrences on measured.occurrence_key = clean_occurrences.occurrence_key
where measured.distance_km - measured.uncertainty_km <= $near_km::double
