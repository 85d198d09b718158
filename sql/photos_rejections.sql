-- Purpose: photographs that could not be used.
-- Grain: one row per photograph whose status is not ok.
-- Inputs: photos.
-- Parameters: none.
select
    photo_id as key,
    status as rule,
    concat_ws(', ', url, error) as detail
from photos
where status <> 'ok'
order by key
