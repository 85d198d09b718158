-- Purpose: in which photographs a rebuilt dataset differs from the version that it is to repeat, and why.
-- Grain: one row per kind of difference and reason, the most frequent first; examples are photo ids.
-- Inputs: before, after (attribution of both), before_split, after_split (of an earlier version: without rows), photos
--   (the ledger of the rebuilt dataset).
-- Parameters: none.
with differing as (
    select
        before.photo_id,
        'gone' as kind,
        case
            when photos.status is null then 'its record is not in the index any more'
            when photos.status = 'ok' then 'a rule leaves it out now'
            else 'its address answers: ' || photos.status
        end as reason
    from before
    left join photos on before.photo_id = photos.photo_id
    where before.photo_id not in (select after.photo_id from after)
    union all
    select
        after.photo_id,
        'new' as kind,
        'it was not in the version' as reason
    from after
    where after.photo_id not in (select before.photo_id from before)
    union all
    select
        before.photo_id,
        'another species' as kind,
        before.species || ' is ' || after.species as reason
    from before
    inner join after on before.photo_id = after.photo_id
    where before.species <> after.species
    union all
    select
        before_split.photo_id,
        'another side' as kind,
        before_split.split || ' is ' || after_split.split as reason
    from before_split
    inner join after_split on before_split.photo_id = after_split.photo_id
    where before_split.split <> after_split.split
    union all
    select
        before_split.photo_id,
        'another picture' as kind,
        'its address gives other bytes' as reason
    from before_split
    inner join after_split on before_split.photo_id = after_split.photo_id
    where before_split.path <> after_split.path
)

select
    kind,
    reason,
    count(*) as photographs,
    list(photo_id order by photo_id)[:3] as examples
from differing
group by kind, reason
order by kind asc, photographs desc, reason asc
