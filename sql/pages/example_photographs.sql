-- Purpose: what species look like: photographs that training reads and that may be shown, each of another observation.
-- Grain: one row per photograph; of each species the first, then the second, and so on.
-- Inputs: split, photos, taxonomy.
-- Parameters: $most, how many of a species at most; $seed, which ones; $licences, under which one may be shown.
with showable as (
    select
        split.photo_id,
        split.occurrence_key,
        split.observation_id,
        split.class_id,
        split.path,
        photos.url,
        photos.licence,
        photos.creator,
        md5(split.photo_id || ':' || $seed) as dice
    from split
    inner join photos on split.photo_id = photos.photo_id
    where
        split.split = 'train'
        and list_contains($licences::varchar[], photos.licence)
        and trim(coalesce(photos.creator, '')) <> ''
    qualify row_number() over (
        partition by split.class_id, split.observation_id order by md5(split.photo_id || ':' || $seed)
    ) = 1
),

ranked as (
    select
        *,
        row_number() over (partition by class_id order by dice) as turn
    from showable
    qualify turn <= $most
)

select
    ranked.photo_id,
    taxonomy.taxon_key,
    taxonomy.name as species,
    ranked.path,
    ranked.creator,
    ranked.licence,
    ranked.occurrence_key,
    ranked.observation_id,
    ranked.url
from ranked
inner join taxonomy on ranked.class_id = taxonomy.class_id
order by taxonomy.class_id, ranked.turn
