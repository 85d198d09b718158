-- Purpose: occurrences as GBIF interprets them, with explicit columns and string keys; blanks are null.
-- Grain: one row per line of occurrence.txt that has a gbifID, in the order of the file.
-- Inputs: occurrence_txt (all text, absent columns null; only lines that have a gbifID).
-- Parameters: $checklist_key, the taxonomy that names and keys follow where the record does not say; $scope, its name.
-- A record that states a year and no date was observed in that year.
-- The observation is iNaturalist's number, from the record's own address, else from its catalogue number.
-- Coordinates that are no numbers get the issue that GBIF has for them; its own records have none, since it leaves such
--   coordinates out.
-- The observer is a pseudonym: the first 64 bits of the SHA-256 of the scope and the name. Names are compared without
--   case and surplus blanks; what stands for nobody is null.
select
    trim(gbifid) as occurrence_key,
    coalesce(
        nullif(regexp_extract(coalesce(occurrenceid, ''), '/observations/([0-9]+)', 1), ''),
        nullif(regexp_extract(coalesce("references", ''), '/observations/([0-9]+)', 1), ''),
        nullif(trim(catalognumber), ''),
        trim(gbifid)
    ) as observation_id,
    nullif(trim(datasetkey), '') as dataset_key,
    coalesce(nullif(trim(checklistkey), ''), $checklist_key) as checklist_key,
    nullif(trim(taxonkey), '') as taxon_key,
    nullif(trim(kingdom), '') as kingdom,
    nullif(trim(phylum), '') as phylum,
    nullif(trim(class), '') as class,
    nullif(trim("order"), '') as "order",
    nullif(trim(family), '') as family,
    nullif(trim(genus), '') as genus,
    nullif(trim(species), '') as species,
    nullif(trim(license), '') as licence,
    nullif(trim(countrycode), '') as country,
    coalesce(nullif(trim(eventdate), ''), nullif(trim(year), '')) as event_date,
    nullif(trim(acceptedtaxonkey), '') as accepted_taxon_key,
    nullif(trim(specieskey), '') as species_key,
    nullif(trim(kingdomkey), '') as kingdom_key,
    nullif(trim(phylumkey), '') as phylum_key,
    nullif(trim(classkey), '') as class_key,
    nullif(trim(orderkey), '') as order_key,
    nullif(trim(familykey), '') as family_key,
    nullif(trim(genuskey), '') as genus_key,
    nullif(trim(scientificname), '') as scientific_name,
    nullif(upper(trim(taxonrank)), '') as taxon_rank,
    nullif(upper(trim(taxonomicstatus)), '') as taxonomic_status,
    nullif(
        concat_ws(
            ';',
            nullif(trim(issue), ''),
            if(
                not coalesce(isfinite(try_cast(decimallatitude as double)), trim(decimallatitude) = '', true)
                or not coalesce(isfinite(try_cast(decimallongitude as double)), trim(decimallongitude) = '', true),
                'COORDINATE_INVALID',
                null
            )
        ),
        ''
    ) as issue,
    if(isfinite(try_cast(decimallatitude as double)), try_cast(decimallatitude as double), null) as decimal_latitude,
    if(isfinite(try_cast(decimallongitude as double)), try_cast(decimallongitude as double), null)
        as decimal_longitude,
    try_cast(coordinateuncertaintyinmeters as double) as coordinate_uncertainty_m,
    nullif(trim(informationwithheld), '') as information_withheld,
    case
        when regexp_full_match(
            trim(recordedby),
            '(?i)|anon(\.|ymous)?|unknown|not (stated|recorded|provided)|none|null|n/?a|no data|[-?.]+'
        ) then null
        else left(sha256($scope || chr(10) || lower(trim(
            regexp_replace(nfc_normalize(recordedby), '[\s\pZ]+', ' ', 'g')
        ))), 16)
    end as observer,
    nullif(upper(trim(occurrencestatus)), '') as occurrence_status,
    try_cast(individualcount as double) as individual_count,
    nullif(trim(verbatimscientificname), '') as verbatim_name,
    nullif(trim(identificationqualifier), '') as identification_qualifier
from occurrence_txt
