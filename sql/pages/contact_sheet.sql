-- Purpose: photographs for the contact sheet: one of each species, and of as many higher groups as there are.
-- Grain: one row per photograph shown.
-- Inputs: split, taxonomy.
-- Parameters: $photos, how many at most; $seed, which ones.
with picked as (
    select
        class_id,
        path,
        md5(photo_id || ':' || $seed) as dice
    from split
    qualify row_number() over (partition by class_id order by md5(photo_id || ':' || $seed)) = 1
),

named as (
    select
        picked.path,
        picked.dice,
        leaf.name as species,
        ancestor.name as group_name
    from picked
    inner join taxonomy as leaf on picked.class_id = leaf.class_id
    inner join taxonomy as ancestor
        on ancestor.rank = 'order' and picked.class_id >= ancestor.leaf_begin and picked.class_id < ancestor.leaf_end
),

ranked as (
    select
        *,
        row_number() over (partition by group_name order by dice) as turn
    from named
),

chosen as (
    select *
    from ranked
    order by turn, dice
    limit $photos
)

select
    path,
    species,
    group_name
from chosen
order by group_name, species
