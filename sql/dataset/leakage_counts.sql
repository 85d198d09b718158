-- Purpose: how much of the validation side looks like a training photograph.
-- Grain: one row.
-- Inputs: leakage, split.
-- Parameters: none.
select
    (
        select count(*) from split
        where split = 'validation'
    ) as validation,
    (select count(distinct leakage.validation_photo) from leakage) as leaked,
    (select count(*) from leakage) as pairs,
    (
        select count(*) from leakage
        where validation_class = train_class
    ) as same_species
