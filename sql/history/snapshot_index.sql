-- Purpose: what is remembered of the photographs of a snapshot, so that the next one can be compared with it.
-- Grain: one row per photo_id: those of the photo index, and those that only their licence keeps out of it.
-- Inputs: photo_index, clean_occurrences, removed (the rejections of the stage photo_index).
-- Parameters: none.
-- A photograph that is kept out has its licence alone; its address is null, and tells it from the others.
with kept_out as (
    select
        key as photo_id,
        min(detail) as licence
    from removed
    where rule = 'licence' and key not in (select photo_index.photo_id from photo_index)
    group by key
)

select
    photo_index.photo_id,
    photo_index.occurrence_key,
    clean_occurrences.species_key,
    clean_occurrences.species,
    photo_index.licence,
    photo_index.url
from photo_index
inner join clean_occurrences on photo_index.occurrence_key = clean_occurrences.occurrence_key
union all
select
    photo_id,
    null as occurrence_key,
    null as species_key,
    null as species,
    licence,
    null as url
from kept_out
order by photo_id
