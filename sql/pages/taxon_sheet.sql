-- Purpose: photographs of one taxon: one of each of its species first, then a second one, and so on.
-- Grain: one row per photograph shown.
-- Inputs: split, taxonomy.
-- Parameters: $leaf_begin, $leaf_end, the classes of the taxon; $photos, how many at most; $seed, which ones.
with inside as (
    select
        split.path,
        split.split,
        split.class_id,
        md5(split.photo_id || ':' || $seed) as dice
    from split
    where split.class_id >= $leaf_begin and split.class_id < $leaf_end
),

ranked as (
    select
        *,
        row_number() over (partition by class_id order by dice) as turn
    from inside
),

chosen as (
    select *
    from ranked
    order by turn, dice
    limit $photos
)

select
    chosen.path,
    chosen.split,
    taxonomy.name as species
from chosen
inner join taxonomy on chosen.class_id = taxonomy.class_id
order by species, chosen.turn
