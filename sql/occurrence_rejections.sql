-- Purpose: lines of the archive's two text files that do not fit their columns, or that no occurrence owns.
-- Grain: one row per rejected line and file.
-- Inputs: occurrence_txt, occurrence_txt_rejects, multimedia_txt, multimedia_txt_rejects.
-- Parameters: none.
with lines as (
    select
        'occurrence.txt:' || line as key,
        'unreadable_line' as rule,
        error_message || ': ' || left(csv_line, 200) as detail
    from occurrence_txt_rejects
    union all
    select
        'multimedia.txt:' || line as key,
        'unreadable_line' as rule,
        error_message || ': ' || left(csv_line, 200) as detail
    from multimedia_txt_rejects
    union all
    select
        'occurrence.txt:' || line_number as key,
        'no_gbif_id' as rule,
        'a line without gbifID' as detail
    from occurrence_txt
    where gbifid is null
    union all
    select
        'multimedia.txt:' || line_number as key,
        'no_gbif_id' as rule,
        'a line without gbifID' as detail
    from multimedia_txt
    where gbifid is null
)

select
    key,
    rule,
    min(detail) as detail
from lines
group by key, rule
order by key, rule
