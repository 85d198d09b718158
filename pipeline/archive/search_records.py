"""Turns the JSON records of `/occurrence/search` into the columns of an archive's text files. No SQL, no HTTP."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

RANKS: Final = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
DIRECT: Final = (
    "occurrenceID", "references", "catalogNumber", "datasetKey", "license", "countryCode", "eventDate",
    "scientificName", "taxonRank", "taxonomicStatus", "taxonKey", "acceptedTaxonKey",
    "decimalLatitude", "decimalLongitude", "occurrenceStatus", "individualCount", "year",
    "verbatimScientificName", "identificationQualifier",
    *RANKS, *(f"{rank}Key" for rank in RANKS),
)  # fmt: skip
"""Fields that the API and the archive call the same."""


def occurrence_row(record: Mapping[str, Any], *, checklist_key: str) -> dict[str, str | None]:
    """One line of occurrence.txt.

    Newer records carry one classification per checklist; where the wanted one is there, it decides.
    """
    row: dict[str, str | None] = {name: _text(record.get(name)) for name in DIRECT}
    row["gbifID"] = _text(record.get("key"))
    row["issue"] = ";".join(record.get("issues") or ()) or None
    row["checklistKey"] = None
    chosen = (record.get("classifications") or {}).get(checklist_key)
    if chosen is not None:
        row.update(_classified(chosen), checklistKey=checklist_key)
    return row


def media_rows(record: Mapping[str, Any]) -> Iterable[dict[str, str | None]]:
    """The lines of multimedia.txt of one record."""
    for item in record.get("media") or ():
        yield {
            "gbifID": _text(record.get("key")),
            **{
                name: _text(item.get(name))
                for name in ("identifier", "format", "type", "license", "rightsHolder", "creator", "references")
            },
        }


def _classified(chosen: Mapping[str, Any]) -> dict[str, str | None]:
    usage, accepted = chosen.get("usage") or {}, chosen.get("acceptedUsage") or {}
    by_rank = {str(node.get("rank", "")).lower(): node for node in chosen.get("classification") or ()}
    row: dict[str, str | None] = {
        "taxonKey": _text(usage.get("key")),
        "acceptedTaxonKey": _text(accepted.get("key")),
        "scientificName": _text(usage.get("name")),
        "taxonRank": _text(usage.get("rank")),
        "taxonomicStatus": _text(chosen.get("taxonomicStatus")),
    }
    for rank in RANKS:
        node = by_rank.get(rank) or {}
        row[rank], row[f"{rank}Key"] = _text(node.get("name")), _text(node.get("key"))
    if "issues" in chosen:
        row["issue"] = ";".join(chosen["issues"]) or None
    return row


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
