-- Purpose: judge every usable photograph: the first rule that removes it, or its accepted species.
-- Grain: one row per photograph with status ok; rule is null where it stays.
-- Inputs: photos, clean_occurrences.
-- Parameters: $min_images, the least number of photographs of a species.
-- Of several photographs of a species with identical bytes the oldest address stays (iNaturalist counts upwards),
--   so that a later copy never displaces one that is already in a split.
with usable as (
    select
        photos.photo_id,
        clean_occurrences.observation_id,
        clean_occurrences.species_key,
        clean_occurrences.species,
        photos.occurrence_key,
        clean_occurrences.occurrence_key is null as unknown_occurrence,
        coalesce(photos.sha256, photos.photo_id) as content
    from photos
    left join clean_occurrences on photos.occurrence_key = clean_occurrences.occurrence_key
    where photos.status = 'ok'
),

contents as (
    select
        content,
        count(distinct species_key) as species_count,
        string_agg(distinct species, ', ' order by species) as species_names
    from usable
    group by content
),

compared as (
    select
        usable.*,
        contents.species_names,
        contents.species_count > 1 as conflicting,
        row_number() over (
            partition by usable.content, usable.species_key
            order by usable.unknown_occurrence, length(usable.photo_id), usable.photo_id
        ) as copy_number
    from usable
    inner join contents on usable.content = contents.content
),

judged as (
    select
        *,
        case
            when unknown_occurrence then 'unknown_occurrence'
            when conflicting then 'conflicting_photo'
            when copy_number > 1 then 'duplicate_photo'
        end as first_rule
    from compared
),

counted as (
    select
        *,
        count(*) filter (where first_rule is null) over (partition by species_key) as species_photos
    from judged
)

select
    photo_id,
    observation_id,
    species_key,
    species,
    coalesce(first_rule, case when species_photos < $min_images then 'too_few_images' end) as rule,
    case
        when first_rule = 'unknown_occurrence' then 'occurrence ' || occurrence_key || ' is not a clean occurrence'
        when first_rule = 'conflicting_photo' then 'the same bytes are labelled ' || species_names
        when first_rule = 'duplicate_photo' then 'the same bytes are already there for ' || species
        else species || ' has ' || species_photos
    end as detail
from counted
