-- Purpose: where the observations of the dataset were made, for a map.
-- Grain: one row per hundredth of a degree that holds observations.
-- Inputs: split, clean_occurrences.
-- Parameters: none.
-- What GBIF doubts is left out: one record at 0, 0 or in another country would decide what the map shows.
select
    round(decimal_longitude, 2) as longitude,
    round(decimal_latitude, 2) as latitude,
    count(*) as observations
from clean_occurrences
where
    decimal_longitude between -180 and 180 and decimal_latitude between -90 and 90
    and not (decimal_longitude = 0 and decimal_latitude = 0)
    and not coalesce(regexp_matches(issue, 'ZERO_COORDINATE|COUNTRY_COORDINATE_MISMATCH'), false)
    and occurrence_key in (select split.occurrence_key from split)
group by 1, 2
order by 1, 2
