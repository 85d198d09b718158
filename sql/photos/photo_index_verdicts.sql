-- Purpose: judge every media row of a clean occurrence: the first rule that removes it, or its place in the index.
-- Grain: one row per media row of a clean occurrence; rule is null where the row stays.
-- Inputs: media, clean_occurrences, licences (text, licence: the reading of each distinct text).
-- Parameters: $addresses, a pattern of the addresses that photographs may have; $sized, a pattern of addresses that
--   exist in several sizes (groups: everything up to the size, the photo id, the size, the extension); $size, the
--   wanted one; $licences, the allowed canonical licences; $least, the photographs that a species needs here to be
--   worth fetching (0 fetches all).
-- The query part of a sized address is a cache key of the original and is left out of the rewritten address.
-- A photograph is known by its number where the address has one, else by its address without the scheme: the same
--   file is served by http and https. Where rows give several addresses of one, other_url is one that is not url.
-- A blank licence stays unknown: the licence of the occurrence covers the record, not the photograph.
with described as (
    select
        media.occurrence_key,
        media.position,
        clean_occurrences.observation_id,
        clean_occurrences.species_key,
        clean_occurrences.species,
        trim(media.url) as address,
        nullif(trim(media.rights_holder), '') as rights_holder,
        nullif(trim(media.creator), '') as creator,
        lower(regexp_extract(trim(coalesce(media.type, '')), '([^/#]*)$', 1)) as kind,
        lower(trim(split_part(coalesce(media.format, ''), ';', 1))) as format,
        lower(regexp_extract(regexp_replace(trim(coalesce(media.url, '')), '[?#].*$', ''), '\.(\w{1,5})$', 1))
            as extension,
        coalesce(licences.licence, 'unknown') as licence
    from media
    inner join clean_occurrences on media.occurrence_key = clean_occurrences.occurrence_key
    left join licences on media.licence = licences.text
),

named as (
    select
        *,
        case
            when regexp_matches(address, $sized) then regexp_replace(address, $sized, '\1' || $size || '.\4')
            else address
        end as url,
        regexp_extract(address, $sized, 2) as sized_id
    from described
),

keyed as (
    select
        *,
        coalesce(
            nullif(sized_id, ''),
            left(sha256(nullif(regexp_replace(url, '^(?i)https?://', ''), '')), 16),
            occurrence_key || '#' || position
        ) as photo_id
    from named
),

ruled as (
    select
        *,
        case
            when coalesce(address, '') = '' then 'no_address'
            when
                kind not in ('stillimage', 'image', '')
                or (format <> '' and not regexp_matches(format, '^(image/|jpe?g$)'))
                then 'not_image'
            when
                (format <> '' and not regexp_matches(format, '^(image/)?p?jpe?g$'))
                or (format = '' and extension in ('png', 'gif', 'tif', 'tiff', 'bmp', 'webp', 'heic', 'svg'))
                then 'not_jpeg'
            when not regexp_matches(url, $addresses) or length(url) > 2000 then 'unsupported_address'
            when not list_contains($licences::varchar[], licence) then 'licence'
        end as own_rule
    from keyed
),

compared as (
    select
        *,
        -- iNaturalist counts upwards: the oldest observation keeps the photograph.
        row_number() over same_photo as copy_number,
        first_value(occurrence_key) over same_photo as kept_occurrence,
        min(url) over same_address as first_url,
        max(url) over same_address as last_url,
        min(species) over same_address as first_species,
        max(species) over same_address as last_species,
        min(species_key) over same_address <> max(species_key) over same_address as conflicting
    from ruled
    window
        same_address as (partition by photo_id, own_rule is null),
        same_photo as (same_address order by length(occurrence_key), occurrence_key, position)
),

judged as (
    select
        *,
        -- Which of two organisms one photograph shows cannot be known: it goes, as identical bytes do later.
        coalesce(
            own_rule,
            case when conflicting then 'conflicting_address' when copy_number > 1 then 'duplicate_address' end
        ) as first_rule
    from compared
),

counted as (
    select
        species_key,
        count(*) as species_photos
    from judged
    where first_rule is null
    group by species_key
)

select
    judged.photo_id,
    judged.occurrence_key,
    judged.observation_id,
    judged.url,
    judged.licence,
    judged.rights_holder,
    judged.creator,
    case when judged.first_url <> judged.url then judged.first_url else nullif(judged.last_url, judged.url) end
        as other_url,
    coalesce(judged.first_rule, case when counted.species_photos < $least then 'rare_species' end) as rule,
    case
        when own_rule = 'no_address' then 'media row ' || position || ' of occurrence ' || occurrence_key
        when own_rule = 'not_image' then 'type ' || kind || ', format ' || format
        when own_rule = 'not_jpeg' then case when format = '' then 'address ends in .' || extension else format end
        when own_rule = 'unsupported_address' then left(address, 200)
        when own_rule = 'licence' then licence
        when conflicting then 'the same photograph is labelled ' || first_species || ' and ' || last_species
        when copy_number > 1 then 'already there for occurrence ' || kept_occurrence
        when counted.species_photos < $least then judged.species || ' has ' || counted.species_photos
    end as detail
from judged
left join counted on judged.first_rule is null and judged.species_key = counted.species_key
