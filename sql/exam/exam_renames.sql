-- Purpose: what species are called now that older model versions know under another key.
-- Grain: one row per key that is no species of the taxonomy any more.
-- Inputs: renames (the last version of this table), class_map, taxonomy.
-- Parameters: none.
-- Followed are species that were renamed or merged into one. What was split has no single name now, and a key that is
--   a species again stands for itself.
with links as (
    select
        old_checklist_key,
        old_taxon_key,
        checklist_key,
        taxon_key
    from class_map
    where change in ('renamed', 'merged')
),

followed as (
    select
        renames.old_checklist_key,
        renames.old_taxon_key,
        case when links.taxon_key is null then renames.checklist_key else links.checklist_key end as checklist_key,
        coalesce(links.taxon_key, renames.taxon_key) as taxon_key,
        2 as preference
    from renames
    left join links
        on
            renames.taxon_key = links.old_taxon_key
            and renames.checklist_key is not distinct from links.old_checklist_key
    union all
    select
        *,
        1 as preference
    from links
),

latest as (
    select *
    from followed
    where
        old_taxon_key <> taxon_key
        or old_checklist_key is distinct from checklist_key
    qualify row_number() over (
        partition by old_checklist_key, old_taxon_key
        order by preference asc, taxon_key asc
    ) = 1
)

select
    latest.old_checklist_key,
    latest.old_taxon_key,
    latest.checklist_key,
    latest.taxon_key
from latest
left join taxonomy
    on
        latest.old_taxon_key = taxonomy.taxon_key
        and latest.old_checklist_key is not distinct from taxonomy.checklist_key
        and taxonomy.rank = 'species'
where taxonomy.taxon_key is null
order by latest.old_checklist_key, latest.old_taxon_key
