-- Purpose: media items that are not fetched, and occurrences that have nothing to fetch.
-- Grain: one row per media item of a clean occurrence that a rule removed; one per occurrence without photograph.
-- Inputs: media_verdicts, clean_occurrences.
-- Parameters: none.
select
    photo_id as key,
    rule,
    detail
from media_verdicts
where rule is not null
union all
select
    occurrence_key as key,
    'no_photo' as rule,
    species as detail
from clean_occurrences
where
    occurrence_key not in (
        select media_verdicts.occurrence_key from media_verdicts
        where media_verdicts.rule is null
    )
order by key, rule
