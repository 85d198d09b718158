-- Purpose: whom to credit for every photograph that training uses, and its licence.
-- Grain: one row per photograph of the split or of the genus stage.
-- Inputs: split, genus_photos, photos, taxonomy.
-- Parameters: none.
-- credit is whom to name under the photograph: the holder, else the creator; where the source gave neither, it says so.
with used as (
    select
        split.photo_id,
        taxonomy.taxon_key,
        taxonomy.name as species
    from split
    inner join taxonomy on split.class_id = taxonomy.class_id
    union all
    select
        photo_id,
        taxon_key,
        species
    from genus_photos
)

select
    used.photo_id,
    used.taxon_key,
    used.species,
    photos.licence,
    photos.rights_holder,
    photos.creator,
    coalesce(photos.rights_holder, photos.creator, 'unknown holder') as credit,
    photos.url
from used
inner join photos on used.photo_id = photos.photo_id
order by used.photo_id
