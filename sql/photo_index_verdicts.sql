-- Purpose: judge every media row of a clean occurrence: the first rule that removes it, or its place in the index.
-- Grain: one row per media row of a clean occurrence; rule is null where the row stays.
-- Inputs: media, clean_occurrences.
-- Parameters: $sized, a pattern of addresses that exist in several sizes (groups: everything up to the size, the
--   photo id, the size, the extension); $size, the wanted one; $licences, the allowed canonical licences (empty
--   allows every one).
-- The query part of a sized address is a cache key of the original and is left out of the rewritten address.
-- A blank licence stays unknown: the licence of the occurrence covers the record, not the photograph.
with described as (
    select
        media.occurrence_key,
        media.position,
        clean_occurrences.observation_id,
        trim(media.url) as address,
        nullif(trim(media.rights_holder), '') as rights_holder,
        nullif(trim(media.creator), '') as creator,
        lower(regexp_extract(trim(coalesce(media.type, '')), '([^/#]*)$', 1)) as kind,
        lower(trim(split_part(coalesce(media.format, ''), ';', 1))) as format,
        lower(regexp_extract(regexp_replace(trim(coalesce(media.url, '')), '[?#].*$', ''), '\.(\w{1,5})$', 1))
            as extension,
        -- Spaces, underscores and slashes all separate: "CC BY-NC 4.0", "CC_BY_NC_4_0", ".../licenses/by-nc/4.0/".
        regexp_replace(lower(trim(coalesce(media.licence, ''))), '[\s_/]+', '-', 'g') as licence_words
    from media
    inner join clean_occurrences on media.occurrence_key = clean_occurrences.occurrence_key
),

named as (
    select
        * exclude (licence_words),
        case
            when regexp_matches(address, $sized) then regexp_replace(address, $sized, '\1' || $size || '.\4')
            else address
        end as url,
        regexp_extract(address, $sized, 2) as sized_id,
        regexp_extract(
            licence_words,
            '(?:creativecommons\.org-licen[cs]es-|(?:^|[^a-z])cc-?)(by(?:-nc)?(?:-sa|-nd)?(?:-nc)?)(?:-?[^a-z-]|-?$)',
            1
        ) as creative_commons,
        case
            when licence_words = '' then 'unknown'
            when regexp_matches(licence_words, 'publicdomain-zero|(^|[^a-z0-9])cc-?(0|zero)([^0-9]|$)') then 'CC0'
            when regexp_matches(licence_words, 'publicdomain-mark|public-domain-mark|^pdm([^a-z]|$)') then 'PDM'
            when contains(licence_words, 'all-rights-reserved') then 'all rights reserved'
            else 'other'
        end as plain_licence
    from described
),

keyed as (
    select
        *,
        coalesce(
            nullif(sized_id, ''), left(sha256(nullif(url, '')), 16), occurrence_key || '#' || position
        ) as photo_id,
        case creative_commons
            when '' then plain_licence
            when 'by' then 'CC-BY'
            when 'by-nc' then 'CC-BY-NC'
            when 'by-sa' then 'CC-BY-SA'
            when 'by-nd' then 'CC-BY-ND'
            when 'by-nc-sa' then 'CC-BY-NC-SA'
            when 'by-nc-nd' then 'CC-BY-NC-ND'
            -- The order of the first version of the licences.
            when 'by-nd-nc' then 'CC-BY-NC-ND'
            else 'other'
        end as licence
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
            when not regexp_matches(url, '^(?i)https?://[^/?#]') or length(url) > 2000 then 'unsupported_address'
            when len($licences::varchar[]) > 0 and not list_contains($licences::varchar[], licence) then 'licence'
        end as own_rule
    from keyed
),

compared as (
    select
        *,
        -- iNaturalist counts upwards: the oldest observation keeps the photograph.
        row_number() over same_photo as copy_number,
        first_value(occurrence_key) over same_photo as kept_occurrence
    from ruled
    window same_photo as (
        partition by photo_id, own_rule is null
        order by length(occurrence_key), occurrence_key, position
    )
)

select
    photo_id,
    occurrence_key,
    observation_id,
    url,
    licence,
    rights_holder,
    creator,
    coalesce(own_rule, case when copy_number > 1 then 'duplicate_address' end) as rule,
    case
        when own_rule = 'no_address' then 'media row ' || position || ' of occurrence ' || occurrence_key
        when own_rule = 'not_image' then 'type ' || kind || ', format ' || format
        when own_rule = 'not_jpeg' then case when format = '' then 'address ends in .' || extension else format end
        when own_rule = 'unsupported_address' then left(address, 200)
        when own_rule = 'licence' then licence
        when copy_number > 1 then 'already there for occurrence ' || kept_occurrence
    end as detail
from compared
