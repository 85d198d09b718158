-- Purpose: where the observations of the dataset were made, for a map.
-- Grain: one row per hundredth of a degree that holds observations.
-- Inputs: split, clean_occurrences.
-- Parameters: none.
select
    round(decimal_longitude, 2) as longitude,
    round(decimal_latitude, 2) as latitude,
    count(*) as observations
from clean_occurrences
where
    decimal_longitude between -180 and 180 and decimal_latitude between -90 and 90
    and occurrence_key in (select split.occurrence_key from split)
group by 1, 2
order by 1, 2
