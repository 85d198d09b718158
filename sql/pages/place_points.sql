-- Purpose: where the records of a list were made, for its map.
-- Grain: one row per cell of the map with records, by whether iNaturalist or the publisher obscured them.
-- Inputs: records (the rows of place_records.sql).
-- Parameters: $rows and $columns, the size of a cell in degrees of latitude and of longitude.
select
    round(latitude / $rows::double) * $rows::double as latitude,
    round(longitude / $columns::double) * $columns::double as longitude,
    obscured,
    bool_or(here) as here,
    count(*) as records
from records
group by 1, 2, 3
order by 1, 2, 3
