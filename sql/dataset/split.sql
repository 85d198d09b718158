-- Purpose: the training and the validation side, and two stable halves of the validation side.
-- Grain: one row per photograph that stays.
-- Inputs: photos, clean_occurrences, removed (the rejections of the stage species), taxonomy.
-- Parameters: $unit ('observation', 'photo' or 'observer'), $seed, $validation (share of the validation side).
-- A side depends on the unit's own identifier and the seed only: nothing changes sides as the data grow. A half depends
--   on the observation, whatever the unit is: photographs of one observation are alike, and those of the half that
--   judges must not have chosen. MD5 (its last eight bytes, the lowest first) rather than hash(), which may change
--   between versions of DuckDB.
-- An observer is who recorded the observation, by pseudonym. An observation that names nobody is a unit of its own; of
--   several names the first counts, so that no observation is divided.
with observers as (
    select
        observation_id,
        min(observer) as observer
    from clean_occurrences
    where $unit = 'observer' and observer is not null
    group by observation_id
),

kept as (
    select
        photos.photo_id,
        photos.occurrence_key,
        clean_occurrences.observation_id,
        taxonomy.class_id,
        photos.path,
        case $unit
            when 'photo' then photos.photo_id
            when 'observer' then coalesce(observers.observer, clean_occurrences.observation_id)
            else clean_occurrences.observation_id
        end as unit
    from photos
    inner join clean_occurrences on photos.occurrence_key = clean_occurrences.occurrence_key
    inner join taxonomy on clean_occurrences.species_key = taxonomy.taxon_key and taxonomy.rank = 'species'
    left join removed on photos.photo_id = removed.key
    left join observers on clean_occurrences.observation_id = observers.observation_id
    where photos.status = 'ok' and removed.key is null
),

bucketed as (
    select
        *,
        md5_number_lower(unit || ':' || $seed) % 1000000 < $validation * 1000000 as validates,
        md5_number_lower(observation_id || ':' || $seed || ':half') % 2 = 0 as calibrates
    from kept
)

select
    photo_id,
    occurrence_key,
    observation_id,
    class_id,
    case when validates then 'validation' else 'train' end as split,
    case
        when validates and calibrates then 'calibration'
        when validates then 'evaluation'
    end as half,
    path
from bucketed
order by photo_id
