-- Purpose: the species most often taken for another one, each with a wrongly named photograph and one of both species.
-- Grain: one row per pair of the right and the named species, the most frequent first; the other way round is a pair of
--   its own.
-- Inputs: predictions (of the validation side), split, taxonomy, photos.
-- Parameters: $pairs, how many at most; $any_licence, whether photographs without an open licence (Creative Commons,
--   public domain) are shown, too: a pair of which none may be shown has no photograph.
-- The wrong photograph is the one that the network was surest of; the others are those that it recognised most surely,
-- else photographs that it learnt from, and of another record than the wrong one.
with mistakes as (
    select
        class_id,
        predicted_class_id,
        count(*) as times
    from predictions
    where class_id <> predicted_class_id
    group by class_id, predicted_class_id
),

photos_of as (
    select
        class_id,
        count(*) as photos
    from predictions
    group by class_id
),

worst as (
    select
        mistakes.class_id,
        mistakes.predicted_class_id,
        mistakes.times,
        photos_of.photos
    from mistakes
    inner join photos_of on mistakes.class_id = photos_of.class_id
    order by
        mistakes.times desc,
        mistakes.times / photos_of.photos desc,
        mistakes.class_id asc,
        mistakes.predicted_class_id asc
    limit $pairs
),

shown as (
    select
        split.photo_id,
        split.occurrence_key,
        split.path,
        split.class_id,
        split.split,
        photos.url,
        coalesce(photos.licence, 'unknown') as licence,
        coalesce(photos.rights_holder, photos.creator, 'unknown holder') as credit,
        predictions.predicted_class_id,
        predictions.probability
    from split
    inner join photos on split.photo_id = photos.photo_id
    left join predictions on split.photo_id = predictions.photo_id
    where
        ($any_licence or regexp_matches(photos.licence, '^(CC|PDM)'))
        and exists (
            select 1
            from worst
            where split.class_id in (worst.class_id, worst.predicted_class_id)
        )
),

wrong as (
    select *
    from shown
    where predicted_class_id <> class_id
    qualify row_number() over (
        partition by class_id, predicted_class_id order by probability desc, photo_id asc
    ) = 1
),

candidates as (
    select *
    from shown
    where split = 'train' or predicted_class_id = class_id
),

examples as (
    select *
    from candidates
    qualify row_number() over (partition by class_id order by probability desc nulls last, photo_id asc) = 1
),

others as (
    select
        candidates.*,
        worst.predicted_class_id as taken_for
    from worst
    inner join candidates on worst.class_id = candidates.class_id
    left join wrong on worst.class_id = wrong.class_id and worst.predicted_class_id = wrong.predicted_class_id
    where wrong.occurrence_key is null or candidates.occurrence_key <> wrong.occurrence_key
    qualify row_number() over (
        partition by worst.class_id, worst.predicted_class_id
        order by candidates.probability desc nulls last, candidates.photo_id asc
    ) = 1
)

select
    worst.times,
    worst.photos,
    species.name as species,
    other.name as other_species,
    wrong.probability,
    wrong.occurrence_key as wrong_occurrence,
    wrong.path as wrong_path,
    wrong.url as wrong_url,
    wrong.licence as wrong_licence,
    wrong.credit as wrong_credit,
    own.occurrence_key as own_occurrence,
    own.path as own_path,
    own.url as own_url,
    own.licence as own_licence,
    own.credit as own_credit,
    named.occurrence_key as named_occurrence,
    named.path as named_path,
    named.url as named_url,
    named.licence as named_licence,
    named.credit as named_credit
from worst
inner join taxonomy as species on worst.class_id = species.class_id
inner join taxonomy as other on worst.predicted_class_id = other.class_id
left join wrong on worst.class_id = wrong.class_id and worst.predicted_class_id = wrong.predicted_class_id
left join others as own on worst.class_id = own.class_id and worst.predicted_class_id = own.taken_for
left join examples as named on worst.predicted_class_id = named.class_id
order by worst.times desc, worst.times / worst.photos desc, worst.class_id asc, worst.predicted_class_id asc
