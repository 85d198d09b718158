-- Purpose: media items as received.
-- Grain: one row per line of multimedia.txt that belongs to an occurrence, in the order of the file.
-- Inputs: multimedia_txt (all text, absent columns null; only lines that have a gbifID).
-- Parameters: none.
-- The position counts the rows of the file from 0: within an occurrence it grows in the order of the file. Counting
-- within each occurrence would need all rows in memory.
select
    trim(gbifid) as occurrence_key,
    (row_number() over () - 1)::integer as position,
    nullif(trim(identifier), '') as url,
    nullif(lower(trim(format)), '') as format,
    nullif(trim(type), '') as type,
    nullif(trim(license), '') as licence,
    nullif(trim(rightsholder), '') as rights_holder,
    nullif(trim(creator), '') as creator,
    nullif(trim("references"), '') as reference
from multimedia_txt
