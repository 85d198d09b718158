-- Purpose: which species, or which licences, were replaced by which, the most frequent pairs first.
-- Grain: one row per pair.
-- Inputs: changes.
-- Parameters: $change, 're-identified' for species or 'relicensed' for licences; $most, how many pairs.
select
    case $change when 're-identified' then species_before else licence_before end as before,
    case $change when 're-identified' then species_after else licence_after end as after,
    count(*)::bigint as photographs
from changes
where change = $change
group by before, after
order by photographs desc, before asc, after asc
limit $most
