-- Purpose: the photographs to ask for, those of one host together, and of these the never asked for first: what failed
--   before must not stand in the way of the rest.
-- Grain: one row per photo_id.
-- Inputs: wanted (the rows of photos_wanted.sql).
-- Parameters: none.
select
    authority,
    photo_id,
    url,
    other_url
from wanted
order by authority, tried, photo_id
