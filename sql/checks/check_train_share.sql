-- Purpose: the training share, and what its standard error is made of.
-- Grain: one row.
-- Inputs: split, clean_occurrences (empty unless the unit is the observer).
-- Parameters: $unit, 'observation', 'photo' or 'observer' (as in split.sql): what is assigned to a side as a whole.
with observers as (
    select
        observation_id,
        min(observer) as observer
    from clean_occurrences
    where observer is not null
    group by observation_id
),

units as (
    select
        case $unit
            when 'photo' then split.photo_id
            when 'observer' then coalesce(observers.observer, split.observation_id)
            else split.observation_id
        end as unit,
        count(*) as photos,
        count(*) filter (where split.split = 'train') as train
    from split
    left join observers on split.observation_id = observers.observation_id
    group by all
)

select
    coalesce(sum(photos), 0)::bigint as photos,
    coalesce(sum(train), 0)::bigint as train,
    coalesce(sum(photos * photos), 0)::bigint as sum_of_squares
from units
