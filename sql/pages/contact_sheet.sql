-- Purpose: photographs for the contact sheet: one of each species, and of as many higher groups as there are.
-- Grain: one row per photograph shown.
-- Inputs: split, taxonomy, photos.
-- Parameters: $photos, how many at most; $seed, which ones; $any_licence, whether photographs without an open licence
--   (Creative Commons, public domain) are shown, too.
with picked as (
    select
        split.class_id,
        split.path,
        coalesce(photos.licence, 'unknown') as licence,
        coalesce(photos.rights_holder, photos.creator, 'unknown holder') as credit,
        md5(split.photo_id || ':' || $seed) as dice
    from split
    inner join photos on split.photo_id = photos.photo_id
    where $any_licence or regexp_matches(photos.licence, '^(CC|PDM)')
    qualify row_number() over (partition by split.class_id order by md5(split.photo_id || ':' || $seed)) = 1
),

named as (
    select
        picked.*,
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
    licence,
    credit,
    species,
    group_name
from chosen
order by group_name, species
