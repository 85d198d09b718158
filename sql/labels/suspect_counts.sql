-- Purpose: how many photographs were judged, and what came out.
-- Grain: one row.
-- Inputs: suspects.
-- Parameters: none.
select
    count(*) as photographs,
    count(suspicion_rank) as judged,
    count(*) filter (where is_issue) as issues,
    count(near_duplicate) as copies
from suspects
