-- Purpose: observers with photographs on both sides of the split.
-- Grain: one row per offending observer.
-- Inputs: split, clean_occurrences.
-- Parameters: none.
-- Of several names of one observation the first counts, as in split.sql.
with observers as (
    select
        observation_id,
        min(observer) as observer
    from clean_occurrences
    where observer is not null
    group by observation_id
)

select observers.observer
from split
inner join observers on split.observation_id = observers.observation_id
group by observers.observer
having count(distinct split.split) > 1
order by observers.observer
