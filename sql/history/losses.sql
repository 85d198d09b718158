-- Purpose: what the next dataset loses against the last one: which photographs of which species, and why.
-- Grain: one row per species of the last dataset and reason; none for a species that keeps every photograph.
-- Inputs: before (the rows of losses_kept.sql of the last dataset), kept (those of the next), verdicts (the rows of
--   photo_verdicts.sql), photos, clean_occurrences, removed_photos, removed_occurrences (the rejections of the stages
--   photo_index and clean_occurrences).
-- Parameters: none.
-- Keys of two checklists mean different things: where the checklist has changed, species are compared by name.
-- A photograph that is under another species now is lost to its species; `gone` counts only those that are in no class.
with named as (
    select checklist_key from before
    union all
    select checklist_key from kept
),

checklists as (
    select count(distinct checklist_key) <= 1 as same
    from named
),

earlier as (
    select
        before.*,
        case when checklists.same then before.taxon_key else before.species end as label
    from before cross join checklists
),

later as (
    select
        kept.photo_id,
        case when checklists.same then kept.taxon_key else kept.species end as label
    from kept cross join checklists
),

judged as (
    select
        verdicts.photo_id,
        verdicts.rule,
        case when checklists.same then verdicts.species_key else verdicts.species end as label
    from verdicts cross join checklists
),

remaining as (
    select
        label,
        count(*) as photos
    from later
    group by label
),

sized as (
    select
        label,
        count(*) as photos
    from earlier
    group by label
),

unlisted as (
    select
        key as photo_id,
        bool_or(rule = 'licence') as by_licence
    from removed_photos
    where rule <> 'no_photo'
    group by key
),

reasoned as (
    select
        earlier.label,
        earlier.taxon_key,
        earlier.species,
        later.photo_id is null as is_gone,
        case
            when later.label = earlier.label then null
            when later.photo_id is not null then 're-identified'
            when judged.label <> earlier.label and judged.rule <> 'unknown_occurrence' then 're-identified'
            when judged.rule = 'too_few_images' then 'too few images'
            when judged.rule in ('observation_cap', 'species_cap') then 'over a cap'
            when judged.rule in ('duplicate_photo', 'conflicting_photo') then 'duplicate'
            when photos.status = 'failed' then 'not fetched'
            when photos.status = 'gone' then 'gone from its host'
            when photos.status <> 'ok' then 'unusable file'
            when unlisted.by_licence then 'another licence'
            when unlisted.photo_id is not null then 'left out by a rule'
            when earlier.occurrence_key in (select removed_occurrences.key from removed_occurrences)
                then 'left out by a rule'
            else 'gone from GBIF'
        end as reason
    from earlier
    left join later on earlier.photo_id = later.photo_id
    left join judged on earlier.photo_id = judged.photo_id
    left join photos on earlier.photo_id = photos.photo_id
    left join unlisted on earlier.photo_id = unlisted.photo_id
)

select
    reasoned.taxon_key,
    reasoned.species,
    reasoned.reason,
    count(*)::bigint as photos,
    (count(*) filter (where reasoned.is_gone))::bigint as gone,
    any_value(sized.photos)::bigint as photos_before,
    coalesce(any_value(remaining.photos), 0)::bigint as photos_after
from reasoned
inner join sized on reasoned.label = sized.label
left join remaining on reasoned.label = remaining.label
where reasoned.reason is not null
group by reasoned.label, reasoned.taxon_key, reasoned.species, reasoned.reason
order by reasoned.species asc, reasoned.taxon_key asc, photos desc, reasoned.reason asc
