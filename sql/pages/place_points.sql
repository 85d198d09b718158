-- Purpose: where the records of a list were made, for its map.
-- Grain: one row per thousandth of a degree with records, by whether iNaturalist or the publisher obscured them.
-- Inputs: records (the rows of place_records.sql).
-- Parameters: none.
select
    round(latitude, 3) as latitude,
    round(longitude, 3) as longitude,
    obscured,
    bool_or(here) as here,
    count(*) as records
from records
group by 1, 2, 3
order by 1, 2, 3
