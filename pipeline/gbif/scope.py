"""The scope of the configuration in GBIF's two languages: a download predicate and search parameters."""

from pipeline.config import SourceSettings
from pipeline.gbif.http import Parameters

Predicate = dict[str, object]


def predicate(source: SourceSettings) -> Predicate:
    """The scope as a predicate of GBIF's download API.

    Licences are those of photographs, which GBIF cannot filter by (its LICENSE is the record's): they are applied
    to the photo index.
    """
    clauses: list[Predicate] = [
        _equals("DATASET_KEY", source.dataset_key),
        _equals("MEDIA_TYPE", "StillImage"),
        _equals("OCCURRENCE_STATUS", "PRESENT"),
    ]
    if source.taxon_keys:
        keys = list(source.taxon_keys)
        clause = _equals("TAXON_KEY", keys[0]) if len(keys) == 1 else {"type": "in", "key": "TAXON_KEY", "values": keys}
        clauses.append({**clause, "checklistKey": source.checklist_key})
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
    if source.country is not None:
        parameters["country"] = source.country
    if source.years is not None:
        parameters["year"] = f"{source.years[0]},{source.years[1]}"
    return parameters


def _equals(key: str, value: str) -> Predicate:
    return {"type": "equals", "key": key, "value": value}
