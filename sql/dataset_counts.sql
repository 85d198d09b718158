-- Purpose: rows at each step of the road, for the manifest and for the accounting between steps.
-- Grain: one row.
-- Inputs: occurrences, clean_occurrences, media, photo_index, photos, species, split, genus_photos,
--   rejections.
-- Parameters: none.
select
    (select count(*) from occurrences) as occurrences,
    (select count(*) from clean_occurrences) as clean_occurrences,
    (select count(*) from media) as media,
    (
        select count(*) from media
        where occurrence_key in (select clean_occurrences.occurrence_key from clean_occurrences)
    ) as clean_media,
    (select count(*) from photo_index) as photo_index,
    (
        select count(*) from photos
        where status = 'ok'
    ) as photos_ok,
    (select count(*) from species) as species,
    (select count(*) from split) as split,
    (
        select count(*) from split
        where split = 'train'
    ) as train,
    (
        select count(*) from split
        where split = 'validation'
    ) as validation,
    (select count(*) from genus_photos) as genus_photos,
    (
        select count(*) from rejections
        where stage = 'clean_occurrences'
    ) as rejected_occurrences,
    (
        select count(*) from rejections
        where stage = 'photo_index' and rule <> 'no_photo'
    ) as rejected_media,
    (
        select count(*) from rejections
        where stage = 'photos'
    ) as rejected_photos,
    (
        select count(*) from rejections
        where stage = 'species'
    ) as rejected_usable
