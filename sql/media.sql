-- Purpose: media items as received.
-- Grain: one row per line of multimedia.txt that belongs to an occurrence.
-- Inputs: multimedia_txt (all text, absent columns null; line_number counts the lines that were read).
-- Parameters: none.
select
    trim(gbifid) as occurrence_key,
    (row_number() over (partition by trim(gbifid) order by line_number) - 1)::integer as position,
    nullif(trim(identifier), '') as url,
    nullif(lower(trim(format)), '') as format,
    nullif(trim(type), '') as type,
    nullif(trim(license), '') as licence,
    nullif(trim(rightsholder), '') as rights_holder,
    nullif(trim(creator), '') as creator,
    nullif(trim("references"), '') as reference
from multimedia_txt
where gbifid is not null
order by occurrence_key, position
