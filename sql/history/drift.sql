-- Purpose: how the photographs of a snapshot are distributed, and how those of the snapshot before were.
-- Grain: one row per kind (class, species, country, cell, month, year, licence) and value of either snapshot.
-- Inputs: shares (the rows of snapshot_shares.sql of all snapshots).
-- Parameters: $snapshot, $previous, two numbers; of the first snapshot $previous is null, and so are shares before.
with sized as (
    select
        *,
        photographs / sum(photographs) over (partition by snapshot, kind) as share
    from shares
),

earlier as (
    select * from sized
    where snapshot = $previous::integer
),

later as (
    select * from sized
    where snapshot = $snapshot::integer
)

select
    coalesce(later.kind, earlier.kind) as kind,
    coalesce(later.value, earlier.value) as value,
    coalesce(earlier.photographs, 0)::bigint as photographs_before,
    coalesce(later.photographs, 0)::bigint as photographs,
    case when $previous::integer is not null then coalesce(earlier.share, 0.0)::double end as share_before,
    coalesce(later.share, 0.0)::double as share,
    case
        when $previous::integer is not null then (coalesce(later.share, 0.0) - coalesce(earlier.share, 0.0))::double
    end as difference
from later
full outer join earlier on later.kind = earlier.kind and later.value = earlier.value
order by kind, value
