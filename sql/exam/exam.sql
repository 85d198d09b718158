-- Purpose: the exam: validation photographs on which model versions are judged. It only grows.
-- Grain: one row per photograph that is or was in the exam.
-- Inputs: exam (its last version), split, taxonomy, rejections, splits (unit, seed, validation: every way in which
--   the sides were drawn while there has been an exam, the present one among them), clean_occurrences (empty where no
--   way was by observer).
-- Parameters: $observations (most observations of one species that are added).
-- An observation is chosen by MD5 of its identifier, whatever else there is, and with all its photographs; species that
--   have enough of them get no more. A row that is in the exam stays, with its number; its name is the present one. It
--   is withdrawn while its photograph is not on the validation side, or was on the training side under any of the
--   splits: a model version may have been trained on it.
with observers as (
    select
        observation_id,
        min(observer) as observer
    from clean_occurrences
    where observer is not null
    group by observation_id
),

sides as (
    select
        split.photo_id,
        split.occurrence_key,
        split.observation_id,
        taxonomy.checklist_key,
        taxonomy.taxon_key as species_key,
        taxonomy.name as species,
        split.path,
        split.split = 'train' or exists (
            select 1
            from splits
            where
                md5_number_lower(
                    case splits.unit
                        when 'photo' then split.photo_id
                        when 'observer' then coalesce(observers.observer, split.observation_id)
                        else split.observation_id
                    end
                    || ':' || splits.seed
                ) % 1000000 >= splits.validation * 1000000
        ) as trained
    from split
    inner join taxonomy on split.class_id = taxonomy.class_id
    left join observers on split.observation_id = observers.observation_id
),

shown as (
    select * from sides
    where not trained
),

examined as (
    select
        shown.species_key,
        shown.observation_id
    from shown
    inner join exam on shown.photo_id = exam.photo_id
    group by all
),

enough as (
    select
        species_key,
        count(*) as observations
    from examined
    group by species_key
),

waiting as (
    select distinct
        species_key,
        observation_id
    from shown
    where observation_id not in (select examined.observation_id from examined)
),

chosen as (
    select waiting.observation_id
    from waiting
    left join enough on waiting.species_key = enough.species_key
    qualify row_number() over (
        partition by waiting.species_key
        order by md5(waiting.observation_id || ':exam') asc, waiting.observation_id asc
    ) <= $observations - coalesce(enough.observations, 0)
),

added as (
    select
        photo_id,
        occurrence_key,
        observation_id,
        checklist_key,
        species_key,
        species,
        path,
        null::varchar as withdrawn,
        (select coalesce(max(exam.since), 0) + 1 from exam)::integer as since
    from shown
    where
        photo_id not in (select exam.photo_id from exam)
        and (
            observation_id in (select chosen.observation_id from chosen)
            or observation_id in (select examined.observation_id from examined)
        )
),

removed as (
    select
        rejections.key,
        rejections.stage in ('occurrences', 'clean_occurrences') as of_record,
        min(rejections.rule) as rule
    from rejections
    where rejections.rule <> 'no_photo'
    group by all
),

kept as (
    select
        exam.photo_id,
        coalesce(sides.occurrence_key, exam.occurrence_key) as occurrence_key,
        coalesce(sides.observation_id, exam.observation_id) as observation_id,
        case when sides.photo_id is null then exam.checklist_key else sides.checklist_key end as checklist_key,
        coalesce(sides.species_key, exam.species_key) as species_key,
        coalesce(sides.species, exam.species) as species,
        coalesce(sides.path, exam.path) as path,
        case
            when sides.trained then 'training'
            when sides.photo_id is null then coalesce(of_photograph.rule, of_record.rule, 'gone')
        end as withdrawn,
        exam.since
    from exam
    left join sides on exam.photo_id = sides.photo_id
    left join removed as of_photograph on exam.photo_id = of_photograph.key and not of_photograph.of_record
    left join removed as of_record on exam.occurrence_key = of_record.key and of_record.of_record
)

select * from kept
union all
select * from added
order by photo_id
