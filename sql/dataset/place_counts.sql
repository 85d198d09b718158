-- Purpose: how many occurrences of the dataset have a place that counts, and what is known of it.
-- Grain: one row.
-- Inputs: places.
-- Parameters: none.
select
    count(*) as occurrences,
    count(latitude) as placed,
    count(*) filter (where latitude is not null and obscured) as obscured,
    count(*) filter (where latitude is not null and day is not null) as dated,
    count(*) filter (where latitude is not null and side = 'train') as learnt,
    count(distinct observer) as observers
from places
