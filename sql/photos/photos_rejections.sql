-- Purpose: the photographs that could not be had.
-- Grain: one row per photograph with another status than ok.
-- Inputs: photos.
-- Parameters: none.
select
    photo_id as key,
    status as rule,
    error as detail
from photos
where status <> 'ok'
order by photo_id
