-- Purpose: the photographs to fetch, with address, licence and whom to name.
-- Grain: one row per photo_id.
-- Inputs: verdicts (the rows of photo_index_verdicts.sql).
-- Parameters: none.
select
    photo_id,
    occurrence_key,
    observation_id,
    url,
    licence,
    rights_holder,
    creator,
    other_url
from verdicts
where rule is null
order by photo_id
