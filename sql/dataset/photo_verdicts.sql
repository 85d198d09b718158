-- Purpose: judge every usable photograph: the first rule that removes it, or its accepted species.
-- Grain: one row per photograph with status ok; rule is null where it stays.
-- Inputs: photos, clean_occurrences.
-- Parameters: $min_images, the least number of photographs of a species; $photos_per_observation and
--   $photos_per_species, at most how many (null: all); $seed, which ones.
-- Of several photographs of a species with identical bytes the oldest address stays (iNaturalist counts upwards),
--   so that a later copy never displaces one that is already in a split.
-- The caps choose by MD5 of the photograph and the seed. Within an observation that order makes a photograph the
--   first, second, ...; a species takes all first ones before any second one. A photograph that is added displaces at
--   most one other, and no more than it has to.
-- min_images counts what is left after duplicates and after the cap of the observations; the cap of the species comes
--   last and never lies below it.
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

-- Few contents repeat, and only theirs are compared.
repeated as (
    select content
    from usable
    group by content
    having count(*) > 1
),

compared as (
    select
        photo_id,
        count(distinct species_key) over (partition by content) as species_count,
        string_agg(distinct species, ', ' order by species) over (partition by content) as species_names,
        row_number() over (
            partition by content, species_key
            order by unknown_occurrence, length(photo_id), photo_id
        ) as copy_number
    from usable
    where content in (select repeated.content from repeated)
),

judged as (
    select
        usable.*,
        compared.species_names,
        case
            when usable.unknown_occurrence then 'unknown_occurrence'
            when compared.species_count > 1 then 'conflicting_photo'
            when compared.copy_number > 1 then 'duplicate_photo'
        end as first_rule,
        md5_number_lower(usable.photo_id || ':' || $seed || ':cap') as dice
    from usable
    left join compared on usable.photo_id = compared.photo_id
),

turned as (
    select
        *,
        row_number() over (
            partition by species_key, observation_id, first_rule is null
            order by dice, photo_id
        ) as turn
    from judged
),

capped as (
    select
        * exclude (first_rule),
        coalesce(
            first_rule,
            case when turn > $photos_per_observation::bigint then 'observation_cap' end
        ) as second_rule
    from turned
),

counted as (
    select
        *,
        count(*) filter (where second_rule is null) over (partition by species_key) as species_photos,
        row_number() over (
            partition by species_key, second_rule is null
            order by turn, dice, photo_id
        ) as place
    from capped
)

select
    photo_id,
    observation_id,
    species_key,
    species,
    coalesce(
        second_rule,
        case
            when species_photos < $min_images then 'too_few_images'
            when place > $photos_per_species::bigint then 'species_cap'
        end
    ) as rule,
    case
        when second_rule = 'unknown_occurrence' then 'occurrence ' || occurrence_key || ' is not a clean occurrence'
        when second_rule = 'conflicting_photo' then 'the same bytes are labelled ' || species_names
        when second_rule = 'duplicate_photo' then 'the same bytes are already there for ' || species
        when second_rule = 'observation_cap' then 'observation ' || observation_id || ' has enough without it'
        else species || ' has ' || species_photos
    end as detail
from counted
