-- Purpose: the training share, and what its standard error is made of.
-- Grain: one row.
-- Inputs: split.
-- Parameters: $unit, 'observation' or 'photo': what is assigned to a side as a whole.
with units as (
    select
        case when $unit = 'photo' then photo_id else observation_id end as unit,
        count(*) as photos,
        count(*) filter (where split = 'train') as train
    from split
    group by 1
)

select
    coalesce(sum(photos), 0)::bigint as photos,
    coalesce(sum(train), 0)::bigint as train,
    coalesce(sum(photos * photos), 0)::bigint as sum_of_squares
from units
