-- Purpose: the photographs of the split that the pack lacks, or holds in an older content.
-- Grain: one row per photograph.
-- Inputs: split, photos, packed (the index of the pack).
-- Parameters: none.
select
    split.photo_id,
    split.path,
    photos.sha256
from split
inner join photos on split.photo_id = photos.photo_id
left join packed on split.photo_id = packed.photo_id and photos.sha256 = packed.sha256
where packed.photo_id is null
order by split.photo_id
