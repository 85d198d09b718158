-- Purpose: over which observations, places and seasons the photographs of a dataset spread, for its description.
-- Grain: one row.
-- Inputs: split, clean_occurrences.
-- Parameters: none.
-- Dates are ISO texts, some of the year alone; a text of seven characters or more names the month.
with used as (
    select
        split.observation_id,
        split.occurrence_key,
        count(*) as photographs
    from split
    group by split.observation_id, split.occurrence_key
),

told as (
    select
        used.observation_id,
        used.photographs,
        clean_occurrences.country,
        clean_occurrences.event_date,
        case
            when length(clean_occurrences.event_date) >= 7 then substr(clean_occurrences.event_date, 6, 2)
        end as month
    from used
    inner join clean_occurrences on used.occurrence_key = clean_occurrences.occurrence_key
),

months as (
    select
        month,
        sum(photographs) as photographs
    from told
    where month is not null
    group by month
)

select
    (select count(distinct observation_id) from told) as observations,
    (select count(distinct country) from told) as countries,
    (select mode(country order by country) from told) as country,
    (select min(substr(event_date, 1, 10)) from told) as first_date,
    (select max(substr(event_date, 1, 10)) from told) as last_date,
    (select coalesce(sum(photographs), 0) from months) as dated,
    (
        select coalesce(sum(busiest.photographs), 0) from (
            select months.photographs from months
            order by months.photographs desc
            limit 3
        ) as busiest
    ) as busiest_quarter
