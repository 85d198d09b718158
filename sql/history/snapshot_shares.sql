-- Purpose: what the photographs of a snapshot are of: how many of each class, species, region, month, year and licence.
-- Grain: one row per kind and value.
-- Inputs: photo_index, clean_occurrences.
-- Parameters: $snapshot, its number.
-- A region is a country, and a cell of five by five degrees, named by its south-western corner.
-- Where a record does not say, the value is `unknown`.
with described as (
    select
        coalesce(clean_occurrences.class, 'unknown') as class,
        clean_occurrences.species,
        coalesce(clean_occurrences.country, 'unknown') as country,
        coalesce(
            (5 * floor(clean_occurrences.decimal_latitude / 5))::integer
            || ', ' || (5 * floor(clean_occurrences.decimal_longitude / 5))::integer,
            'unknown'
        ) as cell,
        coalesce(nullif(regexp_extract(clean_occurrences.event_date, '^\d{4}-(\d{2})', 1), ''), 'unknown') as month,
        coalesce(nullif(regexp_extract(clean_occurrences.event_date, '^(\d{4})', 1), ''), 'unknown') as year,
        coalesce(photo_index.licence, 'unknown') as licence
    from photo_index
    inner join clean_occurrences on photo_index.occurrence_key = clean_occurrences.occurrence_key
),

told as (
    unpivot described on class, species, country, cell, month, year, licence into name kind value value
)

select
    $snapshot::integer as snapshot,
    kind,
    value,
    count(*)::bigint as photographs
from told
group by kind, value
order by kind, value
