-- Purpose: the bodies that were received for the photographs of a range.
-- Grain: one row per sha256.
-- Inputs: photo_index, attempts (see pipeline.photos.journal).
-- Parameters: $first and $before, the range of photo_id: from the one on, up to the other or, where it is null, to the
--   end.
select distinct attempts.sha256
from attempts
semi join photo_index on attempts.photo_id = photo_index.photo_id
where
    attempts.status = 'ok'
    and attempts.photo_id >= $first
    and ($before::varchar is null or attempts.photo_id < $before)
