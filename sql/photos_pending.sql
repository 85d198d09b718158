-- Purpose: the photographs to ask for, those of one host together.
-- Grain: one row per photo_id.
-- Inputs: wanted (the rows of photos_wanted.sql).
-- Parameters: none.
select
    authority,
    photo_id,
    url
from wanted
order by authority, photo_id
