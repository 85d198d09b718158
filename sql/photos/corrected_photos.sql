-- Purpose: the verdicts on media rows without the photographs that a person has dropped.
-- Grain: as photo_index_verdicts.sql; a photograph that was dropped has the rule `correction`.
-- Inputs: verdicts (the rows of photo_index_verdicts.sql), corrections (the rows of photo_corrections.sql).
-- Parameters: none.
with dropped as (
    select
        key as photo_id,
        max_by(reason, line) as reason
    from corrections
    where problem is null
    group by key
)

select
    verdicts.photo_id,
    verdicts.occurrence_key,
    verdicts.observation_id,
    verdicts.url,
    verdicts.licence,
    verdicts.rights_holder,
    verdicts.creator,
    verdicts.other_url,
    coalesce(verdicts.rule, case when dropped.photo_id is not null then 'correction' end) as rule,
    case when verdicts.rule is null and dropped.photo_id is not null then dropped.reason else verdicts.detail end
        as detail
from verdicts
left join dropped on verdicts.photo_id = dropped.photo_id
