-- Purpose: what the pack holds of photographs whose licence no longer allows their use.
-- Grain: one row per photograph.
-- Inputs: packed (the index of the pack), photo_index, removed (the rejections of the stage photo_index).
-- Parameters: none.
-- A photograph that another row gives under an allowed licence stays.
select
    photo_id,
    pack,
    "offset",
    length
from packed
where
    photo_id in (
        select removed.key from removed
        where removed.rule = 'licence'
    )
    and photo_id not in (select photo_index.photo_id from photo_index)
order by photo_id
