-- Purpose: where and when the organisms of the dataset were found, as far as it can be relied on.
-- Grain: one row per occurrence of the split.
-- Inputs: split, clean_occurrences.
-- Parameters: $most_uncertain, in metres: a place that is less certain does not count; $first_year: a date before it is
--   an error.
-- Side: an occurrence is on the training side only where every photograph of its observation is.
-- Flags: a coordinate that GBIF negated or swapped counts, because GBIF does it only where the stated country agrees;
--   where no country was stated, a swap is a guess from a latitude beyond 90 degrees.
-- Cells: iNaturalist draws an obscured place at random within its cell of 0.2 by 0.2 degrees, and states the cell's
--   diagonal as the uncertainty. 0.1 degrees of latitude are 11,119.5 m on the sphere.
-- Days: 2024 and 2023 lend a leap day, so that 29 February is day 60 and 1 March day 61 in every year.
with sided as (
    select
        occurrence_key,
        any_value(observation_id) as observation_id,
        any_value(class_id) as class_id
    from split
    group by occurrence_key
),

validating as (
    select distinct observation_id
    from split
    where split = 'validation'
),

stated as (
    select
        sided.*,
        if(validating.observation_id is null, 'train', 'validation') as side,
        clean_occurrences.country,
        clean_occurrences.observer,
        string_split(coalesce(clean_occurrences.issue, ''), ';') as issues,
        clean_occurrences.decimal_latitude as latitude,
        clean_occurrences.decimal_longitude as longitude,
        if(
            isfinite(clean_occurrences.coordinate_uncertainty_m) and clean_occurrences.coordinate_uncertainty_m > 0,
            clean_occurrences.coordinate_uncertainty_m,
            null
        ) as uncertainty_m,
        if(
            abs(clean_occurrences.decimal_latitude) <= 90,
            11119.5 * sqrt(1 + pow(cos(radians(clean_occurrences.decimal_latitude)), 2)),
            null
        ) as half_diagonal_m,
        regexp_matches(
            coalesce(clean_occurrences.information_withheld, ''),
            '(?i)coordinate|locali|location|place|position|obscur|geoprivacy|latitude|longitude|gps'
        ) as withheld,
        trim(clean_occurrences.event_date) as event_date
    from sided
    inner join clean_occurrences on sided.occurrence_key = clean_occurrences.occurrence_key
    left join validating on sided.observation_id = validating.observation_id
),

placed as (
    select
        *,
        withheld or coalesce(abs(uncertainty_m / half_diagonal_m / 2 - 1) < 0.002, false) as obscured,
        case
            when list_contains(issues, 'COORDINATE_INVALID') then 'unreadable'
            when list_contains(issues, 'COORDINATE_OUT_OF_RANGE') then 'out_of_range'
            when latitude is null and longitude is null then 'missing'
            when latitude is null or longitude is null then 'incomplete'
            when not isfinite(latitude) or not isfinite(longitude) then 'unreadable'
            when abs(latitude) > 90 or abs(longitude) > 180 then 'out_of_range'
            when (latitude = 0 and longitude = 0) or list_contains(issues, 'ZERO_COORDINATE') then 'zero'
            when list_contains(issues, 'COUNTRY_COORDINATE_MISMATCH') then 'other_country'
            when
                list_contains(issues, 'PRESUMED_SWAPPED_COORDINATE')
                and (country is null or list_contains(issues, 'COUNTRY_DERIVED_FROM_COORDINATES'))
                then 'swapped'
            when list_contains(issues, 'COORDINATE_REPROJECTION_SUSPICIOUS') then 'shifted_datum'
            when uncertainty_m > $most_uncertain then 'too_uncertain'
        end as problem
    from stated
),

-- The two ends of a date as year, month and day, without times. An end may be shortened: 2021-05-01/03.
ends as (
    select
        occurrence_key,
        regexp_extract(event_date, '^(\d{4}(-\d{1,2}){0,2})([T ][^/]*)?(/[^/]+)?$', 1) as begun,
        case
            when not contains(event_date, '/') or regexp_matches(event_date, '/T?\d\d:[^/]*$') then begun
            else regexp_extract(event_date, '/(\d{4}(-\d{1,2}){0,2}|\d{1,2}(-\d{1,2})?)([T ][^/]*)?$', 1)
        end as shortened,
        string_split(begun, '-') as begun_parts,
        string_split(shortened, '-') as parts,
        if(
            length(parts[1]) = 4,
            shortened,
            array_to_string(begun_parts[1:len(begun_parts) - len(parts)] || parts, '-')
        ) as ended
    from stated
    where not list_contains(issues, 'RECORDED_DATE_UNLIKELY')
),

spans as (
    select
        occurrence_key,
        try_cast(begun || repeat('-01', 3 - len(string_split(begun, '-'))) as date) as first_day,
        case len(string_split(ended, '-'))
            when 1 then try_cast(ended || '-12-31' as date)
            when 2 then last_day(try_cast(ended || '-01' as date))
            when 3 then try_cast(ended as date)
        end as last_day
    from ends
    where begun <> '' and shortened <> ''
),

middles as (
    select
        occurrence_key,
        first_day + ((last_day - first_day) // 2)::integer as middle
    from spans
    where last_day - first_day between 0 and 30 and year(first_day) >= $first_year
)

select
    placed.occurrence_key,
    placed.observation_id,
    placed.class_id,
    placed.side,
    if(placed.problem is null, placed.latitude, null) as latitude,
    if(placed.problem is null, placed.longitude, null) as longitude,
    if(placed.obscured, greatest(placed.uncertainty_m, placed.half_diagonal_m), placed.uncertainty_m) as uncertainty_m,
    placed.obscured,
    (make_date(2024, month(middles.middle), day(middles.middle)) - make_date(2023, 12, 31))::integer as day,
    placed.country,
    placed.observer,
    placed.problem
from placed
left join middles on placed.occurrence_key = middles.occurrence_key
order by placed.occurrence_key
