-- Purpose: judge every occurrence: the first rule that removes it, or its accepted species with one lineage.
-- Grain: one row per row of occurrences (occurrence_key may repeat); rule is null where the row stays.
-- Inputs: occurrences, licences (text, licence: the reading of each distinct text).
-- Parameters: $unusual, 'placeholder' (a missing inner rank stays null) or 'drop' (the paper: it removes the row);
--   $fuzzy, 'keep' or 'drop', what becomes of names that GBIF matched by similar spelling; $checklist, the key of the
--   taxonomy that the dataset follows; and the scope, in which null or an empty list allows every row: $dataset,
--   $country, $first_year, $last_year, $licences (canonical), $taxon_keys (of $checklist).
-- Scope: it is applied to every row, because an archive may hold more than GBIF would be asked for.
-- Absence: a record of absence has no organism to show. As at GBIF, a count of 0 means absence if there is no status.
-- Open names: GBIF removes the signs of doubt from scientific_name; they are in the name and the qualifier as the
--   publisher wrote them. Darwin Core keeps identificationQualifier for doubts: any text in it is one, unless it states
--   that there is none or names a rank below species. "f. sp." is a rank below species (forma specialis).
-- Species: GBIF's species_key already follows synonyms and rolls subspecies, varieties and forms up to their
--   species; only where it is blank, a name of rank SPECIES falls back on its accepted key, then, if it is not a
--   synonym, on its own.
-- Higher rank: GBIF sets TAXON_MATCH_HIGHERRANK where the name itself is unknown to the checklist and an ancestor was
--   taken. An unknown subspecies whose species was taken is a good record of that species; all others are not.
-- Lineage: a species_key with several lineages takes the most frequent one among the rows that stay; ties go to the
--   first in alphabetical order, blanks last, which is how DuckDB orders structs.
with repeated as (
    select occurrence_key
    from occurrences
    group by occurrence_key
    having count(*) > 1
),

-- Sorting by content keeps the same one of several rows with one key, whatever their order in the file. Only the rows
-- of the few keys that repeat are sorted. Where and by whom it was seen decides last: it says nothing about the taxon.
copies as (
    select
        *,
        row_number() over (
            partition by occurrence_key
            order by
                species_key is null,
                md5(
                    json_merge_patch(
                        to_json(occurrences),
                        '{"coordinate_uncertainty_m": null, "information_withheld": null, "observer": null}'
                    )::varchar
                ),
                md5(to_json(occurrences)::varchar)
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

-- Single blanks in the names, one name a line.
worded as (
    select
        copies.*,
        coalesce(licences.licence, 'unknown') as record_licence,
        -- As at GBIF, a range over a new year has no year.
        case
            when len(list_distinct(regexp_extract_all(copies.event_date, '(?:^|/)([0-9]{4})', 1))) = 1
                then try_cast(left(copies.event_date, 4) as integer)
        end as observed_year,
        regexp_replace(
            regexp_replace(
                concat_ws('~', copies.scientific_name, copies.species, copies.verbatim_name), '[\s\pZ]+', ' ', 'g'
            ),
            '(^|[ ~])f(orma|\.)? ?(specialis\b|spec\.|sp\.|sp\b)', '\1', 'g'
        ) as names,
        lower(trim(regexp_replace(copies.identification_qualifier, '[\s\pZ]+', ' ', 'g'))) as qualifier
    from copies
    left join licences on copies.licence = licences.text
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
        struct_pack(
            kingdom, phylum, class, "order", family, genus, species, kingdom_key, phylum_key, class_key, order_key,
            family_key, genus_key, checklist_key
        ) as lineage,
        coalesce(issue, '') as issues,
        case
            when coalesce(dataset_key, '') <> coalesce($dataset, dataset_key, '')
                then 'dataset ' || coalesce(dataset_key, 'unknown')
            when coalesce(upper(country), '') <> coalesce($country, upper(country), '')
                then 'country ' || coalesce(country, 'unknown')
            when $first_year > coalesce(observed_year, -1) or $last_year < observed_year
                then 'year ' || coalesce(observed_year::varchar, 'unknown')
            when len($licences::varchar[]) > 0 and not list_contains($licences::varchar[], record_licence)
                then 'licence ' || record_licence
            when
                len($taxon_keys::varchar[]) > 0
                and coalesce(checklist_key, $checklist) = $checklist
                and not list_has_any(
                    $taxon_keys::varchar[],
                    [
                        taxon_key, accepted_taxon_key, species_key, genus_key, family_key, order_key, class_key,
                        phylum_key, kingdom_key
                    ]
                )
                then 'taxon ' || coalesce(scientific_name, taxon_key, 'unknown')
        end as beyond_scope,
        qualifier <> ''
        and qualifier not in (
            coalesce(lower(scientific_name), ''), coalesce(lower(species), ''), coalesce(lower(verbatim_name), '')
        )
        and not regexp_full_match(
            qualifier,
            '(no(ne|t applicable| qualifier| doubts?)?|n\.?/?a\.?|null|nil|[-.0]+|yes|ok|certain|sure|positive|definite'
            || '|confirmed|verified|accepted|sicher|gesichert|cierto|confirm(ado|é)'
            || '|s\. ?s(tr)?\.?|s(ensu)? stricto|(subsp|ssp|var|subvar|f|cv)\.[^?]*|(subspecies|forma|variety)[^?]*)'
        ) as doubted,
        coalesce(kingdom, phylum, class, "order", family, genus, species) is null as blank,
        taxon_rank in (
            'DOMAIN', 'SUPERKINGDOM', 'KINGDOM', 'SUBKINGDOM', 'INFRAKINGDOM', 'SUPERPHYLUM', 'PHYLUM', 'SUBPHYLUM',
            'INFRAPHYLUM', 'SUPERCLASS', 'CLASS', 'SUBCLASS', 'INFRACLASS', 'PARVCLASS', 'SUPERLEGION', 'LEGION',
            'SUBLEGION', 'INFRALEGION', 'SUPERCOHORT', 'COHORT', 'SUBCOHORT', 'INFRACOHORT', 'MAGNORDER',
            'SUPERORDER', 'GRANDORDER', 'ORDER', 'SUBORDER', 'INFRAORDER', 'PARVORDER', 'SUPERFAMILY', 'FAMILY',
            'SUBFAMILY', 'INFRAFAMILY', 'SUPERTRIBE', 'TRIBE', 'SUBTRIBE', 'INFRATRIBE', 'SUPRAGENERIC_NAME',
            'GENUS', 'SUBGENUS', 'INFRAGENUS', 'SUPERSECTION', 'SECTION', 'SUBSECTION', 'SUPERSERIES', 'SERIES',
            'SUBSERIES', 'INFRAGENERIC_NAME', 'SPECIES_AGGREGATE', 'SPECIES_GROUP', 'COMPLEX'
        ) as ranks_above,
        coalesce(taxon_rank, '') in (
            'SPECIES', 'INFRASPECIFIC_NAME', 'SUBSPECIES', 'VARIETY', 'SUBVARIETY', 'FORM', 'SUBFORM',
            'FORMA_SPECIALIS', 'CULTIVAR', 'STRAIN', 'PATHOVAR', 'BIOVAR', 'CHEMOVAR', 'SEROVAR'
        ) as ranks_species
    from worded
),

judged as (
    select
        *,
        case
            when copy_number > 1 then 'duplicate_occurrence'
            when
                regexp_replace(occurrence_status, '[ _-]+', ' ', 'g') in (
                    'ABSENT', 'ABSENCE', 'NOT PRESENT', 'NOT DETECTED', 'NOT OBSERVED', 'NONE', 'NO', 'FALSE', '0',
                    'AUSENTE', 'ABSENTE', 'ABWESEND', 'EXCLUDED'
                )
                or (occurrence_status is null and individual_count = 0)
                then 'absent'
            when beyond_scope is not null then 'out_of_scope'
            when regexp_matches(issues, '(^|;)TAXON_MATCH_NONE(;|$)') or (blank and resolved_key is null)
                then 'no_taxonomy'
            when checklist_key <> $checklist then 'other_checklist'
            when
                contains(names, '×')
                or regexp_matches(names, '(^|[ ~])x |[a-z] X [a-z]|(?i)(^|[ ~(-])hybride?([ ~.,)]|$)')
                or coalesce(taxon_rank, '') like 'NOTHO%'
                or contains(coalesce(taxon_rank, ''), 'HYBRID')
                or contains(issues, 'HYBRID')
                then 'hybrid'
            when contains(upper(names), 'BOLD:') then 'bold_bin'
            when
                doubted
                or regexp_matches(
                    names,
                    '(^|[ ~("\[])(spp?|cfr?|Cf|CF|c\. ?f|conf|aff|Aff|AFF|nr|indet|prox|agg|aggr|gr|inc|vgl|cpx)\.'
                )
                or regexp_matches(
                    names, '(^|[ ~("\[])(spp?|cf|CF|confer|aff|AFF|nr|near|indet|agg|vgl)([ ~)"\]]|$)'
                )
                -- The species in the wide sense, a group of species, one of two.
                or regexp_matches(names, '[ (]s\. ?l(at)?([ ~.),]|$)|[ (](?i:sensu lat)|(^|[ ~(])[a-z-]{3,} ?/')
                or regexp_matches(
                    names,
                    '(?i)(^|~)[^ ~]+ [^ ~]+[^~]*[ (-](complex[eo]?|complejo|complesso|kompleks|komplex'
                    || '|groupe?|grupp?[eo]|gruppen|aggregate?|agrégat|agregado|superspecies)([ ~.,;)]|$)'
                )
                -- A question mark inside a word, or in an author's name, is a letter that some software lost.
                or regexp_matches(
                    names,
                    '(^|[ ~(\[])\?+ ?([A-Za-z(~]|$)|(^|[ ~(])[a-z-]+ ?\?+([ ~,.;)\]]|$)|(^|~)[A-Z][a-z]+ ?\?+( |~|$)'
                )
                or regexp_matches(
                    names,
                    '(?i)(^|[ ~(])(probably|possibly|maybe|perhaps|uncertain|undetermined|unidentified|vermutlich'
                    || '|wahrscheinlich|unsicher|probablement|probablemente|peut-être)([ ~.,)]|$)'
                )
                or regexp_matches(names, '(^|[ ~])SH[0-9]+\.[0-9]+FU')
                then 'provisional_name'
            when
                regexp_matches(issues, '(^|;)TAXON_MATCH_HIGHERRANK(;|$)')
                and (resolved_key is null or taxon_rank is null or ranks_above)
                then 'higher_rank_match'
            when ranks_above or (resolved_key is null and species is null and not ranks_species) then 'above_species'
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
        lineage,
        count(*) as frequency
    from judged
    where first_rule is null
    group by all
),

lineages as (
    select
        resolved_key,
        lineage
    from counted
    qualify row_number() over (partition by resolved_key order by frequency desc, lineage asc) = 1
),

resolved as (
    select
        judged.occurrence_key,
        judged.observation_id,
        judged.dataset_key,
        coalesce(lineages.lineage.checklist_key, judged.checklist_key) as checklist_key,
        judged.taxon_key,
        lineages.lineage.kingdom,
        lineages.lineage.phylum,
        lineages.lineage.class,
        lineages.lineage."order",
        lineages.lineage.family,
        lineages.lineage.genus,
        lineages.lineage.species,
        judged.licence,
        judged.country,
        judged.event_date,
        judged.accepted_taxon_key,
        judged.resolved_key as species_key,
        lineages.lineage.kingdom_key,
        lineages.lineage.phylum_key,
        lineages.lineage.class_key,
        lineages.lineage.order_key,
        lineages.lineage.family_key,
        lineages.lineage.genus_key,
        judged.scientific_name,
        judged.taxon_rank,
        judged.taxonomic_status,
        judged.issue,
        judged.decimal_latitude,
        judged.decimal_longitude,
        judged.coordinate_uncertainty_m,
        judged.information_withheld,
        judged.observer,
        judged.occurrence_status,
        judged.individual_count,
        judged.beyond_scope,
        judged.verbatim_name,
        judged.identification_qualifier,
        judged.first_rule,
        concat_ws(
            ', ',
            case when lineages.lineage.kingdom is null then 'kingdom' end,
            case when lineages.lineage.phylum is null then 'phylum' end,
            case when lineages.lineage.class is null then 'class' end,
            case when lineages.lineage."order" is null then 'order' end,
            case when lineages.lineage.family is null then 'family' end,
            case when lineages.lineage.genus is null then 'genus' end
        ) as missing_ranks
    from judged
    left join lineages
        on judged.first_rule is null and judged.resolved_key = lineages.resolved_key
)

select
    * exclude (
        first_rule, missing_ranks, occurrence_status, individual_count, beyond_scope, verbatim_name,
        identification_qualifier
    ),
    coalesce(
        first_rule,
        case when $unusual = 'drop' and missing_ranks <> '' then 'unusual_taxonomy' end
    ) as rule,
    case
        when first_rule is null then species || ' has no ' || missing_ranks
        when first_rule = 'duplicate_occurrence' then 'another row with this key was judged'
        when first_rule = 'absent'
            then coalesce('status ' || lower(occurrence_status), individual_count::integer || ' individuals')
        when first_rule = 'out_of_scope' then beyond_scope
        when first_rule = 'provisional_name'
            then concat_ws(', ', coalesce(verbatim_name, scientific_name, species), identification_qualifier)
        when first_rule = 'other_checklist'
            then coalesce(species, scientific_name, 'no name') || ' of the checklist ' || checklist_key
        when first_rule = 'doubtful_match'
            then concat_ws(', ', scientific_name, lower(taxonomic_status), nullif(issue, ''))
        else coalesce(scientific_name, 'no name') || ', rank ' || coalesce(lower(taxon_rank), 'unknown')
    end as detail
from resolved
