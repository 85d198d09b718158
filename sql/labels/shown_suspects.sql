-- Purpose: the most suspicious photographs, with an example of the species that each looks like.
-- Grain: one row per photograph, the most suspicious first.
-- Inputs: suspects, split, photos.
-- Parameters: $most, how many; $any_licence, whether photographs without an open licence (Creative Commons, public
--   domain) are shown, too: of others the path is null.
-- The example is the photograph that its own name fits best.
with located as (
    select
        suspects.*,
        photos.url,
        coalesce(photos.licence, 'unknown') as licence,
        coalesce(photos.rights_holder, photos.creator, 'unknown holder') as credit,
        case when $any_licence or regexp_matches(photos.licence, '^(CC|PDM)') then split.path end as path
    from suspects
    inner join split on suspects.photo_id = split.photo_id
    inner join photos on suspects.photo_id = photos.photo_id
),

examples as (
    select *
    from located
    where path is not null and self_confidence is not null
    qualify row_number() over (partition by class_id order by self_confidence desc, photo_id asc) = 1
)

select
    located.photo_id,
    located.occurrence_key,
    located.observation_id,
    located.split,
    located.species,
    located.suspicion_rank,
    located.self_confidence,
    located.suggested_species,
    located.suggested_probability,
    located.is_issue,
    located.meet_rank,
    located.meet_taxon,
    located.near_duplicate,
    located.near_duplicate_species,
    located.url,
    located.licence,
    located.credit,
    located.path,
    examples.occurrence_key as example_occurrence,
    examples.url as example_url,
    examples.licence as example_licence,
    examples.credit as example_credit,
    examples.path as example_path
from located
left join examples on located.suggested_class_id = examples.class_id
where located.suspicion_rank <= $most
order by located.suspicion_rank
