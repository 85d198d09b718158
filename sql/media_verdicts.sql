-- Purpose: judge every media item of a clean occurrence: the first rule that removes it, or the photograph to fetch.
-- Grain: one row per media item; rule is null where it stays.
-- Inputs: clean_occurrences, media.
-- Parameters: $size ('original', 'large' or 'medium'), $licences (allowed canonical licences; empty allows all).
-- Sizes: iNaturalist keeps .../photos/<number>/<size>.<extension> on its hosts; other addresses stay as they are.
with items as (
    select
        media.occurrence_key,
        clean_occurrences.observation_id,
        media.position,
        media.rights_holder,
        media.creator,
        media.licence,
        media.url as received,
        coalesce(media.format, '') as format,
        coalesce(media.type, 'StillImage') as type,
        regexp_extract(coalesce(media.url, ''), '/photos/([0-9]+)/(?:original|large|medium|small)\.', 1) as number
    from media
    inner join clean_occurrences on media.occurrence_key = clean_occurrences.occurrence_key
),

addressed as (
    select
        *,
        case
            when number <> ''
                then regexp_replace(
                    received, '/photos/([0-9]+)/(?:original|large|medium|small)\.', '/photos/\1/' || $size || '.'
                )
            else received
        end as url,
        coalesce(
            nullif(number, ''),
            left(sha256(coalesce(received, occurrence_key || ':' || position)), 16)
        ) as photo_id,
        lower(regexp_replace(coalesce(licence, ''), '[\s_]+', '-', 'g')) as terms
    from items
),

licensed as (
    select
        * exclude (licence, terms),
        case
            when terms = '' then 'unknown'
            when contains(terms, 'publicdomain/zero') or terms in ('cc0', 'cc0-1.0', 'cc-zero') then 'CC0'
            when contains(terms, 'publicdomain/mark') or terms in ('pdm', 'public-domain') then 'PDM'
            when regexp_matches(terms, 'licenses/by|^cc-by')
                then 'CC-' || upper(regexp_extract(terms, '(by(?:-nc)?(?:-sa|-nd)?)(?:[^a-z]|$)', 1))
            when contains(terms, 'all-rights-reserved') or contains(terms, '©') or terms in ('c', 'copyright')
                then 'all rights reserved'
            else 'other'
        end as licence
    from addressed
),

judged as (
    select
        *,
        case
            when type <> 'StillImage' then 'not_image'
            when format <> 'image/jpeg' and not (
                format = '' and regexp_matches(lower(coalesce(received, '')), '\.jpe?g([?#]|$)')
            ) then 'not_jpeg'
            when received is null then 'no_address'
            when not regexp_matches(lower(received), '^https?://') then 'bad_address'
            when len($licences) > 0 and not list_contains($licences, licence) then 'licence'
        end as first_rule
    from licensed
)

select
    photo_id,
    occurrence_key,
    observation_id,
    url,
    licence,
    rights_holder,
    creator,
    coalesce(
        first_rule,
        case
            when row_number() over (
                partition by photo_id, first_rule is null
                order by occurrence_key, position
            ) > 1 then 'duplicate_address'
        end
    ) as rule,
    concat_ws(', ', type, nullif(format, ''), licence, received) as detail
from judged
