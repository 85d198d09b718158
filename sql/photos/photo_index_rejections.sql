-- Purpose: the media rows that a rule removed, and the clean occurrences that are left without a photograph.
-- Grain: one row per removed media row, and one per occurrence without a photograph (rule no_photo).
-- Inputs: verdicts (the rows of photo_index_verdicts.sql), clean_occurrences.
-- Parameters: none.
select
    photo_id as key,
    rule,
    detail
from verdicts
where rule is not null
union all
select
    occurrence_key as key,
    'no_photo' as rule,
    species as detail
from clean_occurrences
where
    occurrence_key not in (
        select verdicts.occurrence_key from verdicts
        where verdicts.rule is null
    )
order by key, rule
