-- Purpose: photographs that each host has given, the last ones: a host that gives one of them again still gives some.
-- Grain: one row per authority (host and port).
-- Inputs: attempts (see pipeline.photos.journal).
-- Parameters: $most, how many addresses for each.
select
    lower(regexp_extract(url, '^\w+://(?:[^/?#@]*@)?([^/?#]*)', 1)) as authority,
    max_by(url, line, $most) as urls
from attempts
where status = 'ok'
group by authority
order by authority
