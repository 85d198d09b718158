"""The scope of the configuration in GBIF's two languages: a download predicate and search parameters."""

from collections.abc import Sequence

from pipeline.config import SourceSettings
from pipeline.gbif.http import Parameters

Predicate = dict[str, object]


def predicate(source: SourceSettings) -> Predicate:
    """The scope as a predicate of GBIF's download API.

    GBIF's LICENSE is the record's; those of photographs, which GBIF cannot filter by, are applied to the photo index.
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


def _any_of(key: str, values: Sequence[str]) -> Predicate:
    return _equals(key, values[0]) if len(values) == 1 else {"type": "in", "key": key, "values": list(values)}


def _equals(key: str, value: str) -> Predicate:
    return {"type": "equals", "key": key, "value": value}
