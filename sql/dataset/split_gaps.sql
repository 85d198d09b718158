-- Purpose: species that one side of the split lacks, by each of the units; by chance, more of them the fewer
--   photographs they have.
-- Grain: one row per unit and such species.
-- Inputs: split, taxonomy, clean_occurrences.
-- Parameters: $seed, $validation (share of the validation side): as in split.sql.
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
        split.class_id,
        unnest([
            struct_pack(
                unit := 'observation',
                validates := md5_number_lower(split.observation_id || ':' || $seed) % 1000000 < $validation * 1000000
            ),
            struct_pack(
                unit := 'photo',
                validates := md5_number_lower(split.photo_id || ':' || $seed) % 1000000 < $validation * 1000000
            ),
            struct_pack(
                unit := 'observer',
                validates := md5_number_lower(coalesce(observers.observer, split.observation_id) || ':' || $seed)
                % 1000000 < $validation * 1000000
            )
        ]) as side
    from split
    left join observers on split.observation_id = observers.observation_id
)

select
    sides.side.unit,
    sides.class_id,
    taxonomy.name as species,
    count(*) filter (where not sides.side.validates) as train,
    count(*) filter (where sides.side.validates) as validation
from sides
inner join taxonomy on sides.class_id = taxonomy.class_id
group by sides.side.unit, sides.class_id, taxonomy.name
having count(*) filter (where sides.side.validates) = 0 or count(*) filter (where not sides.side.validates) = 0
order by sides.side.unit, sides.class_id
