-- Purpose: lines of the archive's two text files that are no rows of their file, or have no gbifID.
-- Grain: one row per rejected line and file; the first line of a file, header or not, is 1.
-- Inputs: occurrence_rejects, multimedia_rejects (line, rule, detail).
-- Parameters: none.
select
    'occurrence.txt:' || line as key,
    rule,
    detail
from occurrence_rejects
union all
select
    'multimedia.txt:' || line as key,
    rule,
    detail
from multimedia_rejects
