-- Purpose: judge every correction of records: which record it changes, to which species, or why it changes nothing.
-- Grain: one row per correction and record that it names; one per correction that names none. problem is null where it
--   counts.
-- Inputs: verdicts (the rows of occurrence_verdicts.sql), corrections (those of records).
-- Parameters: none.
-- A species is known where a record of the dataset is under it: its lineage is needed. Names are compared without
--   regard to case. Of several lines about one record the last counts: a file grows at its end.
with clean as (
    select
        occurrence_key,
        observation_id,
        species_key,
        species
    from verdicts
    where rule is null
),

names as (
    select distinct
        species_key,
        species
    from clean
),

targets as (
    select
        corrections.line,
        min(names.species_key) as species_key,
        count(names.species_key) as found
    from corrections
    left join names
        on corrections.species = names.species_key or lower(corrections.species) = lower(names.species)
    where corrections.action = 'identify'
    group by corrections.line
),

named as (
    select
        corrections.*,
        clean.occurrence_key as record,
        clean.species as present_species,
        clean.species_key as present_key
    from corrections
    left join clean
        on case
            when corrections.occurrence_key is not null then corrections.occurrence_key = clean.occurrence_key
            else corrections.observation_id = clean.observation_id
        end
),

left_out as (
    select
        occurrence_key,
        min(rule) as rule
    from verdicts
    where rule is not null and rule <> 'duplicate_occurrence'
    group by occurrence_key
),

judged as (
    select
        named.line,
        coalesce(named.record, named.occurrence_key, named.observation_id, named.photo_id, 'line ' || named.line)
            as key,
        named.record as occurrence_key,
        named.action,
        targets.species_key,
        concat_ws(', ', named.who, named.why) as reason,
        case
            when named.problem is not null then named.problem
            when named.record is null and left_out.rule is not null
                then 'the record was left out: ' || replace(left_out.rule, '_', ' ')
            when named.record is null
                then 'no record ' || coalesce(named.occurrence_key, 'of the observation ' || named.observation_id)
            when named.action = 'identify' and coalesce(targets.found, 0) = 0
                then 'no record of the dataset is under ' || named.species
            when named.action = 'identify' and targets.found > 1
                then 'several species are called ' || named.species || ': give the key'
            when
                named.given is not null
                and named.given <> named.present_key
                and lower(named.given) <> lower(named.present_species)
                then 'the record is under ' || named.present_species || ' by now, not under ' || named.given
        end as own_problem
    from named
    left join targets on named.line = targets.line
    left join left_out on named.record is null and named.occurrence_key = left_out.occurrence_key
),

ordered as (
    select
        *,
        max(line) filter (where own_problem is null) over (partition by occurrence_key) as last_line
    from judged
)

select
    line,
    key,
    occurrence_key,
    action,
    species_key,
    reason,
    'line ' || line || ': ' || coalesce(
        own_problem, case when line < last_line then 'line ' || last_line || ' is about the same record' end
    ) as problem
from ordered
