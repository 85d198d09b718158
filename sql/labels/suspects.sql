-- Purpose: how suspicious the name of each photograph is, what it looks like instead, and where to find it.
-- Grain: one row per photograph of the split, the most suspicious first.
-- Inputs: scores (of the child label_quality), split, taxonomy, copies (the rows of contradicting_copies.sql).
-- Parameters: none.
with species as (
    select
        class_id,
        name,
        taxon_key
    from taxonomy
    where class_id is not null
),

above as (
    select
        node_id,
        rank,
        depth,
        name,
        unnest(range(leaf_begin, leaf_end))::integer as class_id
    from taxonomy
    where class_id is null
),

asked as (
    select distinct
        class_id,
        suggested_class_id
    from scores
    where suggested_class_id is not null
),

met as (
    select
        asked.class_id,
        asked.suggested_class_id,
        max_by(given.rank, given.depth) as rank,
        max_by(given.name, given.depth) as name
    from asked
    inner join above as given on asked.class_id = given.class_id
    inner join above as other on asked.suggested_class_id = other.class_id and given.node_id = other.node_id
    group by asked.class_id, asked.suggested_class_id
)

select
    split.photo_id,
    split.occurrence_key,
    split.observation_id,
    split.split,
    split.class_id,
    species.taxon_key,
    species.name as species,
    scores.rank as suspicion_rank,
    scores.suspicion,
    scores.self_confidence,
    scores.margin,
    scores.suggested_class_id,
    suggested.taxon_key as suggested_taxon_key,
    suggested.name as suggested_species,
    scores.suggested_probability,
    scores.is_issue,
    case when met.rank = 'root' then 'none' else met.rank end as meet_rank,
    case when met.rank <> 'root' then met.name end as meet_taxon,
    copies.copy as near_duplicate,
    copied.name as near_duplicate_species,
    copies.distance as near_duplicate_distance
from split
inner join species on split.class_id = species.class_id
left join scores on split.photo_id = scores.photo_id
left join species as suggested on scores.suggested_class_id = suggested.class_id
left join met on split.class_id = met.class_id and scores.suggested_class_id = met.suggested_class_id
left join copies on split.photo_id = copies.photo_id
left join species as copied on copies.copy_class = copied.class_id
order by scores.rank nulls last, split.photo_id
