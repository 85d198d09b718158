-- Purpose: photographs with a near-identical one under another species.
-- Grain: one row per photograph, with the nearest such one.
-- Inputs: split, packed (the index of the pack).
-- Parameters: $distance, how many of the 64 bits of the perceptual hashes may differ, at most 7.
-- Looked up as in leakage.sql: by each quarter of a hash with all its bits, and with each of its 16 bits turned.
with hashed as (
    select
        split.photo_id,
        split.class_id,
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
),

pairs as (
    select distinct
        probes.photo_id,
        others.photo_id as copy,
        others.class_id as copy_class,
        bit_count(xor(probes.fingerprint, others.fingerprint))::integer as distance
    from probes
    inner join quartered as others on probes.quarter = others.quarter and probes.bits = others.bits
    where
        probes.class_id <> others.class_id
        and bit_count(xor(probes.fingerprint, others.fingerprint)) <= $distance
)

select
    photo_id,
    copy,
    copy_class,
    distance
from pairs
qualify row_number() over (partition by photo_id order by distance, copy) = 1
