-- Purpose: how many photographs came to which end.
-- Grain: one row per status.
-- Inputs: photos.
-- Parameters: none.
select
    status,
    count(*)::bigint as photos
from photos
group by status
order by photos desc, status asc
