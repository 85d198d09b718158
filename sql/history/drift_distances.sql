-- Purpose: how far each snapshot is from the one before, kind by kind: the total variation of their shares.
-- Grain: one row per snapshot but the first, and kind.
-- Inputs: shares (the rows of snapshot_shares.sql of all snapshots).
-- Parameters: $snapshots, the numbers of the snapshots that are compared.
-- Total variation: half the sum of the absolute differences of shares; 0 where they are equal, 1 where they have no
--   value in common.
with sized as (
    select
        *,
        photographs / sum(photographs) over (partition by snapshot, kind) as share,
        dense_rank() over (order by snapshot) as place
    from shares
    where list_contains($snapshots::integer[], snapshot)
),

numbered as (
    select distinct
        place,
        snapshot
    from sized
),

moved as (
    select
        place,
        snapshot,
        kind,
        value,
        share
    from sized
    union all
    select
        numbered.place,
        numbered.snapshot,
        earlier.kind,
        earlier.value,
        -earlier.share as share
    from sized as earlier
    inner join numbered on earlier.place + 1 = numbered.place
),

summed as (
    select
        place,
        snapshot,
        kind,
        value,
        sum(share) as difference
    from moved
    group by place, snapshot, kind, value
)

select
    snapshot,
    kind,
    least(1.0, sum(abs(difference)) / 2)::double as distance
from summed
where place > 1
group by snapshot, kind
order by snapshot, list_position(['class', 'species', 'country', 'cell', 'month', 'year', 'licence'], kind)
