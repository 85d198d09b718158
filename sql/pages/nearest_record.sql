-- Purpose: the record that is nearest to a place, where the list of the place is empty.
-- Grain: one row, or none where there is no record.
-- Inputs: records (the rows of place_records.sql).
-- Parameters: none.
select
    species,
    latitude,
    longitude,
    distance_km
from records
order by distance_km, species, latitude, longitude
limit 1
