-- Purpose: photographs of the validation side that look like one of the training side.
-- Grain: one row per pair, one photograph of each side.
-- Inputs: split, packed (the index of the pack).
-- Parameters: $distance, how many of the 64 bits of the perceptual hashes may differ, at most 7.
-- Hashes that differ in at most seven bits agree, in at least one of their four quarters, in all bits but one. So each
--   quarter of a validation hash is looked up with all its bits and with each of its 16 bits turned: 68 look-ups for a
--   photograph instead of a comparison with every other one.
with hashed as (
    select
        split.photo_id,
        split.class_id,
        split.observation_id,
        split.split,
        packed.fingerprint,
        unnest(range(4)) as quarter
    from split
    inner join packed on split.photo_id = packed.photo_id
),

quartered as (
    select
        *,
        ((fingerprint >> (16 * quarter)) & 65535)::integer as bits
    from hashed
),

probes as (
    select
        * exclude (bits),
        unnest(list_transform(range(17), lambda turned: xor(bits, (1 << turned) & 65535)))::integer as bits
    from quartered
    where split = 'validation'
),

pairs as (
    select distinct
        probes.photo_id as validation_photo,
        trained.photo_id as train_photo,
        probes.observation_id as validation_observation,
        trained.observation_id as train_observation,
        probes.class_id as validation_class,
        trained.class_id as train_class,
        bit_count(xor(probes.fingerprint, trained.fingerprint))::integer as distance
    from probes
    inner join quartered as trained on probes.quarter = trained.quarter and probes.bits = trained.bits
    where
        trained.split = 'train'
        and bit_count(xor(probes.fingerprint, trained.fingerprint)) <= $distance
)

select *
from pairs
order by distance, validation_photo, train_photo
