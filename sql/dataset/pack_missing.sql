-- Purpose: the photographs of the dataset that the pack lacks, or holds in an older content.
-- Grain: one row per photograph.
-- Inputs: split, genus_photos, photos, packed (the index of the pack).
-- Parameters: none.
with wanted as (
    select
        photo_id,
        path
    from split
    union all
    select
        photo_id,
        path
    from genus_photos
)

select
    wanted.photo_id,
    wanted.path,
    photos.sha256
from wanted
inner join photos on wanted.photo_id = photos.photo_id
left join packed on wanted.photo_id = packed.photo_id and photos.sha256 = packed.sha256
where packed.photo_id is null
order by wanted.photo_id
