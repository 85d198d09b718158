-- Purpose: how much each host has sent lately, for budgets that outlive a run.
-- Grain: one row per authority (a host, of older attempts with its port) and minute.
-- Inputs: attempts.
-- Parameters: $since, a moment in UTC.
-- The bytes of a minute count from its last body on, so that none leaves a budget early. They were sent by the host
--   that was asked last, which a redirect may have led to.
select
    coalesce(host, lower(regexp_extract(url, '^\w+://(?:[^/?#@]*@)?([^/?#]*)', 1))) as authority,
    epoch(max(fetched_at::timestamp)) as moment,
    sum(bytes)::bigint as bytes
from attempts
where bytes > 0 and fetched_at >= strftime($since::timestamp, '%Y-%m-%dT%H:%M:%S')
group by authority, date_trunc('minute', fetched_at::timestamp)
order by authority, moment
