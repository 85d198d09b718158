-- Purpose: the photographs to fetch.
-- Grain: one row per photograph.
-- Inputs: media_verdicts.
-- Parameters: none.
select
    photo_id,
    occurrence_key,
    observation_id,
    url,
    licence,
    rights_holder,
    creator
from media_verdicts
where rule is null
order by photo_id
