-- Purpose: how many photographs the next dataset loses for each reason.
-- Grain: one row per reason; photographs that another species has now count apart, as re-identified and not gone.
-- Inputs: losses.
-- Parameters: none.
select
    reason,
    sum(photos)::bigint as photos,
    sum(gone)::bigint as gone
from losses
group by reason
order by photos desc, reason asc
