-- Purpose: judge every correction of single photographs: the photograph that it drops, or why it changes nothing.
-- Grain: one row per correction; problem is null where it counts.
-- Inputs: verdicts (the rows of photo_index_verdicts.sql), corrections (those of photographs).
-- Parameters: none.
select
    corrections.line,
    coalesce(corrections.photo_id, 'line ' || corrections.line) as key,
    concat_ws(', ', corrections.who, corrections.why) as reason,
    'line ' || corrections.line || ': ' || case
        when corrections.problem is not null then corrections.problem
        when corrections.photo_id not in (select verdicts.photo_id from verdicts)
            then 'no photograph ' || corrections.photo_id
    end as problem
from corrections
