-- Purpose: where and when the photographs of the dataset were taken, and what they show, in a few numbers.
-- Grain: one row.
-- Inputs: split, clean_occurrences.
-- Parameters: $most, how many countries are named.
with used as (
    select
        observation_id,
        country,
        kingdom,
        -- Dates may be whole, or a month or a year, or a range; the year is always there first.
        try_cast(left(event_date, 4) as integer) as year
    from clean_occurrences
    where occurrence_key in (select split.occurrence_key from split)
),

countries as (
    select
        country,
        row_number() over (order by count(*) desc, country asc) as place
    from used
    where country is not null
    group by country
)

select
    count(distinct used.observation_id) as observations,
    min(used.year) as first_year,
    max(used.year) as last_year,
    (select count(*) from countries) as countries,
    (
        select list(countries.country order by countries.place) from countries
        where countries.place <= $most
    ) as most_countries
from used
