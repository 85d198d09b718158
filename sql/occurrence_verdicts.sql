-- Purpose: judge every occurrence: the first rule that removes it, or its accepted species with one lineage.
-- Grain: one row per row of occurrences (occurrence_key may repeat); rule is null where the row stays.
-- Inputs: occurrences.
-- Parameters: $unusual, 'placeholder' (a missing inner rank stays null) or 'drop' (the paper: it removes the row);
--   $fuzzy, 'keep' or 'drop', what becomes of names that GBIF matched by similar spelling; $checklist, the key of the
--   taxonomy that the dataset follows.
-- Species: GBIF's species_key already follows synonyms and rolls subspecies, varieties and forms up to their
--   species; only where it is blank, a name of rank SPECIES falls back on its accepted key, then, if it is not a
--   synonym, on its own.
-- Higher rank: GBIF sets TAXON_MATCH_HIGHERRANK where the name itself is unknown to the checklist and an ancestor was
--   taken. An unknown subspecies whose species was taken is a good record of that species; all others are not.
-- Lineage: a species_key that comes with several lineages takes the most frequent one among the rows that stay;
--   ties go to the first in alphabetical order, a blank coming last.
with repeated as (
    select occurrence_key
    from occurrences
    group by occurrence_key
    having count(*) > 1
),

-- Sorting by content keeps the same one of several rows with one key, whatever their order in the file. Few keys
-- repeat, and only their rows are sorted.
copies as (
    select
        *,
        row_number() over (
            partition by occurrence_key
            order by species_key is null, md5(to_json(occurrences)::varchar)
        ) as copy_number
    from occurrences
    where occurrence_key in (select repeated.occurrence_key from repeated)
    union all
    select
        *,
        1 as copy_number
    from occurrences
    where occurrence_key not in (select repeated.occurrence_key from repeated)
),

numbered as (
    select
        *,
        coalesce(
            species_key,
            case when taxon_rank = 'SPECIES' then accepted_taxon_key end,
            case
                when taxon_rank = 'SPECIES' and coalesce(taxonomic_status, '') not like '%SYNONYM%' then taxon_key
            end
        ) as resolved_key,
        coalesce(issue, '') as issues,
        coalesce(scientific_name, '') || ' | ' || coalesce(species, '') as names,
        coalesce(kingdom, phylum, class, "order", family, genus, species) is null as blank,
        taxon_rank in (
            'DOMAIN', 'SUPERKINGDOM', 'KINGDOM', 'SUBKINGDOM', 'INFRAKINGDOM', 'SUPERPHYLUM', 'PHYLUM', 'SUBPHYLUM',
            'INFRAPHYLUM', 'SUPERCLASS', 'CLASS', 'SUBCLASS', 'INFRACLASS', 'PARVCLASS', 'SUPERLEGION', 'LEGION',
            'SUBLEGION', 'INFRALEGION', 'SUPERCOHORT', 'COHORT', 'SUBCOHORT', 'INFRACOHORT', 'MAGNORDER',
            'SUPERORDER', 'GRANDORDER', 'ORDER', 'SUBORDER', 'INFRAORDER', 'PARVORDER', 'SUPERFAMILY', 'FAMILY',
            'SUBFAMILY', 'INFRAFAMILY', 'SUPERTRIBE', 'TRIBE', 'SUBTRIBE', 'INFRATRIBE', 'SUPRAGENERIC_NAME',
            'GENUS', 'SUBGENUS', 'INFRAGENUS', 'SUPERSECTION', 'SECTION', 'SUBSECTION', 'SUPERSERIES', 'SERIES',
            'SUBSERIES', 'INFRAGENERIC_NAME', 'SPECIES_AGGREGATE'
        ) as ranks_above
    from copies
),

judged as (
    select
        *,
        case
            when copy_number > 1 then 'duplicate_occurrence'
            when regexp_matches(issues, '(^|;)TAXON_MATCH_NONE(;|$)') or (blank and resolved_key is null)
                then 'no_taxonomy'
            when checklist_key <> $checklist then 'other_checklist'
            when
                contains(names, '×')
                or regexp_matches(names, '(^|\s)x\s')
                or coalesce(taxon_rank, '') like 'NOTHO%'
                or contains(coalesce(taxon_rank, ''), 'HYBRID')
                or contains(issues, 'HYBRID')
                then 'hybrid'
            when contains(upper(names), 'BOLD:') then 'bold_bin'
            when
                regexp_matches(names, '(^|[\s(])(sp|spp|cf|aff|nr|indet)\.')
                or regexp_matches(names, '(^|\s)(sp|spp|cf|aff)(\s|$)')
                or regexp_matches(names, '(^|\s)SH[0-9]+\.[0-9]+FU')
                then 'provisional_name'
            when
                regexp_matches(issues, '(^|;)TAXON_MATCH_HIGHERRANK(;|$)')
                and (resolved_key is null or taxon_rank is null or ranks_above)
                then 'higher_rank_match'
            when ranks_above or (resolved_key is null and species is null) then 'above_species'
            when
                regexp_matches(issues, '(^|;)TAXON_MATCH_(AGGREGATE|NAME_AND_ID_AMBIGUOUS)(;|$)')
                or taxonomic_status in ('DOUBTFUL', 'PROPARTE_SYNONYM', 'AMBIGUOUS_SYNONYM', 'MISAPPLIED')
                or ($fuzzy = 'drop' and regexp_matches(issues, '(^|;)TAXON_MATCH_FUZZY(;|$)'))
                then 'doubtful_match'
            when resolved_key is null then 'missing_species_key'
            when species is null then 'missing_species_name'
        end as first_rule
    from numbered
),

counted as (
    select
        resolved_key,
        checklist_key,
        kingdom,
        phylum,
        class,
        "order",
        family,
        genus,
        species,
        kingdom_key,
        phylum_key,
        class_key,
        order_key,
        family_key,
        genus_key,
        count(*) as frequency
    from judged
    where first_rule is null
    group by all
),

lineages as (
    select
        resolved_key,
        checklist_key,
        kingdom,
        phylum,
        class,
        "order",
        family,
        genus,
        species,
        kingdom_key,
        phylum_key,
        class_key,
        order_key,
        family_key,
        genus_key
    from counted
    qualify row_number() over (
        partition by resolved_key
        order by
            frequency desc, kingdom asc nulls last, phylum asc nulls last, class asc nulls last, "order" asc nulls last,
            family asc nulls last, genus asc nulls last, species asc nulls last, kingdom_key asc nulls last,
            phylum_key asc nulls last, class_key asc nulls last, order_key asc nulls last, family_key asc nulls last,
            genus_key asc nulls last, checklist_key asc nulls last
    ) = 1
),

resolved as (
    select
        judged.occurrence_key,
        judged.observation_id,
        judged.dataset_key,
        coalesce(lineages.checklist_key, judged.checklist_key) as checklist_key,
        judged.taxon_key,
        lineages.kingdom,
        lineages.phylum,
        lineages.class,
        lineages."order",
        lineages.family,
        lineages.genus,
        lineages.species,
        judged.licence,
        judged.country,
        judged.event_date,
        judged.accepted_taxon_key,
        judged.resolved_key as species_key,
        lineages.kingdom_key,
        lineages.phylum_key,
        lineages.class_key,
        lineages.order_key,
        lineages.family_key,
        lineages.genus_key,
        judged.scientific_name,
        judged.taxon_rank,
        judged.taxonomic_status,
        judged.issue,
        judged.decimal_latitude,
        judged.decimal_longitude,
        judged.first_rule,
        concat_ws(
            ', ',
            case when lineages.kingdom is null then 'kingdom' end,
            case when lineages.phylum is null then 'phylum' end,
            case when lineages.class is null then 'class' end,
            case when lineages."order" is null then 'order' end,
            case when lineages.family is null then 'family' end,
            case when lineages.genus is null then 'genus' end
        ) as missing_ranks
    from judged
    left join lineages
        on judged.first_rule is null and judged.resolved_key = lineages.resolved_key
)

select
    * exclude (first_rule, missing_ranks),
    coalesce(
        first_rule,
        case when $unusual = 'drop' and missing_ranks <> '' then 'unusual_taxonomy' end
    ) as rule,
    case
        when first_rule is null then species || ' has no ' || missing_ranks
        when first_rule = 'duplicate_occurrence' then 'another row with this key was judged'
        when first_rule = 'other_checklist'
            then coalesce(species, scientific_name, 'no name') || ' of the checklist ' || checklist_key
        when first_rule = 'doubtful_match'
            then concat_ws(', ', scientific_name, lower(taxonomic_status), nullif(issue, ''))
        else coalesce(scientific_name, 'no name') || ', rank ' || coalesce(lower(taxon_rank), 'unknown')
    end as detail
from resolved
