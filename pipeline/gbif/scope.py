"""The scope of the configuration as a download predicate, as search parameters and as parameters of SQL.

`sql/dataset/occurrence_verdicts.sql` applies the scope to every row, whether it comes from GBIF or from an archive.
"""

from collections.abc import Collection, Sequence
from typing import Any

from pipeline.config.licence_names import RECORD_LICENCES
from pipeline.config.settings import SourceSettings
from pipeline.gbif.client import Parameters

Predicate = dict[str, object]


def predicate(source: SourceSettings) -> Predicate:
    """The scope as a predicate of GBIF's download API.

    GBIF's LICENSE is the licence of the record. GBIF cannot filter by the licences of photographs; they are applied to
    the photo index.
    """
    clauses: list[Predicate] = [
        _equals("DATASET_KEY", source.dataset_key),
        _equals("MEDIA_TYPE", "StillImage"),
        _equals("OCCURRENCE_STATUS", "PRESENT"),
    ]
    if source.taxon_keys:
        clauses.append({**_any_of("TAXON_KEY", source.taxon_keys), "checklistKey": source.checklist_key})
    if source.licences:
        clauses.append(_any_of("LICENSE", source.licences))
    if source.country is not None:
        clauses.append(_equals("COUNTRY", source.country))
    if source.years is not None:
        first, last = source.years
        clauses.append({"type": "greaterThanOrEquals", "key": "YEAR", "value": str(first)})
        clauses.append({"type": "lessThanOrEquals", "key": "YEAR", "value": str(last)})
    return {"type": "and", "predicates": clauses}


def search_parameters(source: SourceSettings) -> Parameters:
    """The scope as parameters of `/occurrence/search`."""
    parameters: dict[str, str | int | list[str]] = {
        "datasetKey": source.dataset_key,
        "mediaType": "StillImage",
        "occurrenceStatus": "PRESENT",
        "checklistKey": source.checklist_key,
    }
    if source.taxon_keys:
        parameters["taxonKey"] = list(source.taxon_keys)
    if source.licences:
        parameters["license"] = list(source.licences)
    if source.country is not None:
        parameters["country"] = source.country
    if source.years is not None:
        parameters["year"] = f"{source.years[0]},{source.years[1]}"
    return parameters


def conditions(source: SourceSettings, *, datasets: Collection[str]) -> dict[str, Any]:
    """The scope as parameters of `sql/dataset/occurrence_verdicts.sql`.

    Args:
        source: The scope. Its dataset is applied if it was configured or occurs at all; an archive that holds only
            other datasets is taken as it is, like an archive of another checklist.
        datasets: The dataset keys that occur.
    """
    chosen = "dataset_key" in source.model_fields_set or source.dataset_key in datasets
    first, last = source.years or (None, None)
    canonical = {theirs: ours for ours, theirs in RECORD_LICENCES.items()}
    return {
        "dataset": source.dataset_key if chosen else None,
        "country": source.country,
        "first_year": first,
        "last_year": last,
        "licences": [canonical[name] for name in source.licences],
        "taxon_keys": [] if _asked(source) else list(source.taxon_keys),
    }


def _asked(source: SourceSettings) -> bool:
    """Whether GBIF selected the taxa: it knows ranks that its tables have no columns for."""
    return source.mode in {"replica", "search"} or (source.mode == "download" and source.download_key is None)


def _any_of(key: str, values: Sequence[str]) -> Predicate:
    return _equals(key, values[0]) if len(values) == 1 else {"type": "in", "key": key, "values": list(values)}


def _equals(key: str, value: str) -> Predicate:
    return {"type": "equals", "key": key, "value": value}
