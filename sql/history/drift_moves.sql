-- Purpose: the shares that changed most since the snapshot before.
-- Grain: one row per kind and value, at most $most of each kind; the greatest change first.
-- Inputs: drift.
-- Parameters: $most.
select
    kind,
    value,
    share_before,
    share,
    difference
from drift
where difference <> 0
qualify row_number() over (partition by kind order by abs(difference) desc, value asc) <= $most
order by
    list_position(['class', 'species', 'country', 'cell', 'month', 'year', 'licence'], kind) asc,
    abs(difference) desc,
    value asc
