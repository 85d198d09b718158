-- Purpose: occurrences whose place would be learnt although their observation has a validation photograph.
-- Grain: one row per offending occurrence.
-- Inputs: places, split.
-- Parameters: none.
select distinct
    places.occurrence_key,
    places.observation_id
from places
inner join split on places.observation_id = split.observation_id
where places.side = 'train' and split.split = 'validation'
order by places.occurrence_key
