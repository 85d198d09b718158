-- Purpose: how many photographs of a snapshot are in its photo index.
-- Grain: one row.
-- Inputs: snapshot (the rows of snapshot_index.sql).
-- Parameters: none.
select count(url)::bigint as photographs
from snapshot
