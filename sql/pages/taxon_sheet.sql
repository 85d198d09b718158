-- Purpose: photographs of one taxon: one of each of its species first, then a second one, and so on.
-- Grain: one row per photograph shown.
-- Inputs: split, taxonomy, photos.
-- Parameters: $leaf_begin, $leaf_end, the classes of the taxon; $photos, how many at most; $seed, which ones;
--   $any_licence, whether photographs without an open licence (Creative Commons, public domain) are shown, too.
with inside as (
    select
        split.photo_id,
        split.occurrence_key,
        split.path,
        split.split,
        split.class_id,
        photos.url,
        coalesce(photos.licence, 'unknown') as licence,
        coalesce(photos.rights_holder, photos.creator, 'unknown holder') as credit,
        md5(split.photo_id || ':' || $seed) as dice
    from split
    inner join photos on split.photo_id = photos.photo_id
    where
        split.class_id >= $leaf_begin and split.class_id < $leaf_end
        and ($any_licence or regexp_matches(photos.licence, '^(CC|PDM)'))
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
    chosen.photo_id,
    chosen.occurrence_key,
    chosen.path,
    chosen.split,
    chosen.url,
    chosen.licence,
    chosen.credit,
    taxonomy.name as species
from chosen
inner join taxonomy on chosen.class_id = taxonomy.class_id
order by species, chosen.turn
