-- Purpose: whom to name for every photograph of the dataset, and under which licence it stands.
-- Grain: one row per photograph of the split.
-- Inputs: split, photos, taxonomy.
-- Parameters: none.
select
    split.photo_id,
    taxonomy.taxon_key,
    taxonomy.name as species,
    photos.licence,
    photos.rights_holder,
    photos.creator,
    photos.url
from split
inner join photos on split.photo_id = photos.photo_id
inner join taxonomy on split.class_id = taxonomy.class_id
order by split.photo_id
