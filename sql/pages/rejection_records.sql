-- Purpose: every row that was left out, with the record or photograph it was, its species and what may be opened.
-- Grain: one row per row of rejections.
-- Inputs: rejections, occurrences, clean_occurrences, media, photos, meanings (rule, meaning).
-- Parameters: $sized, a pattern of addresses that exist in several sizes (groups: up to the size, the photo id, the
--   size, the extension); $spreadsheet, whether text that a spreadsheet would take for a formula begins with an
--   apostrophe.
-- What the key of a rejection is depends on the stage: the archive's line, the occurrence, or the photograph.
-- Removed media rows are in no table: those with the same photograph id are matched in their order, copies that the
--   index keeps last. Their id is made as in photo_index_verdicts.sql.
with lines as (
    select
        rejections.stage,
        rejections.key,
        rejections.rule,
        rejections.detail,
        rejections.stage in ('photo_index', 'photos', 'species') and rejections.rule <> 'no_photo' as is_photo,
        row_number() over (
            partition by rejections.stage, rejections.key
            order by rejections.rule, rejections.detail
        ) as copy_number
    from rejections
),

records as (
    select
        occurrence_key,
        min(coalesce(species, verbatim_name, scientific_name)) as species
    from occurrences
    where
        occurrence_key in (
            select lines.key from lines
            where lines.stage in ('clean_occurrences', 'photo_index')
        )
        or occurrence_key in (select clean_occurrences.occurrence_key from clean_occurrences)
    group by occurrence_key
),

addressed as (
    select
        occurrence_key,
        position,
        trim(url) as url,
        coalesce(
            nullif(regexp_extract(trim(url), $sized, 2), ''),
            left(sha256(nullif(regexp_replace(trim(url), '^(?i)https?://', ''), '')), 16),
            occurrence_key || '#' || position
        ) as photo_id
    from media
    where occurrence_key in (select clean_occurrences.occurrence_key from clean_occurrences)
),

listed as (
    select
        addressed.photo_id,
        addressed.occurrence_key,
        addressed.url,
        row_number() over (
            partition by addressed.photo_id
            order by
                addressed.occurrence_key is not distinct from photos.occurrence_key,
                length(addressed.occurrence_key), addressed.occurrence_key, addressed.position
        ) as copy_number
    from addressed
    left join photos on addressed.photo_id = photos.photo_id
    where addressed.photo_id in (
        select lines.key from lines
        where lines.stage = 'photo_index' and lines.is_photo
    )
),

located as (
    select
        lines.stage,
        lines.rule,
        lines.detail,
        lines.is_photo or lines.key like 'multimedia.txt:%' as is_photo,
        case
            when not lines.is_photo and lines.stage <> 'occurrences' then lines.key
            when lines.stage = 'photo_index' then listed.occurrence_key
            when lines.is_photo then photos.occurrence_key
        end as occurrence_key,
        case when lines.is_photo then lines.key end as photo_id,
        case when lines.is_photo then coalesce(photos.url, listed.url) end as url,
        case when lines.stage = 'occurrences' then lines.key end as line
    from lines
    left join photos on lines.is_photo and lines.key = photos.photo_id
    left join listed
        on
            lines.is_photo and lines.stage = 'photo_index'
            and lines.key = listed.photo_id and lines.copy_number = listed.copy_number
),

named as (
    select
        located.*,
        records.species,
        meanings.meaning,
        nullif(concat_ws(': ', located.line, nullif(located.detail, '')), '') as whole_detail,
        case
            when regexp_matches(located.url, '(?i)^https?://[^/]*inaturalist[^/]*/photos/\d+/')
                then 'https://www.inaturalist.org/photos/' || located.photo_id
            when regexp_matches(located.url, '(?i)^https?://') then located.url
        end as photo_address
    from located
    left join records on located.occurrence_key = records.occurrence_key
    left join meanings on located.rule = meanings.rule
)

select
    case when is_photo then 'photograph' else 'record' end as kind,
    occurrence_key,
    photo_id,
    case when $spreadsheet and regexp_matches(species, '^[=+@\t\r-]') then '''' else '' end || species as species,
    stage,
    rule,
    meaning,
    case when $spreadsheet and regexp_matches(whole_detail, '^[=+@\t\r-]') then '''' else '' end
    || whole_detail as detail,
    photo_address
from named
order by
    list_position(['occurrences', 'clean_occurrences', 'photo_index', 'photos', 'species'], stage),
    rule, occurrence_key, photo_id, line
