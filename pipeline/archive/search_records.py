"""Turns the JSON records of `/occurrence/search` into the columns of an archive's text files. No SQL, no HTTP."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ml.spec import RANKS
from pipeline.archive.raw import WANTED, Raw, Row, json_lines, write_rows

DIRECT: Final = WANTED["occurrence"] - {"gbifID", "issue", "checklistKey"}
"""Fields that the API and the archive call the same."""
MEDIA: Final = WANTED["multimedia"] - {"gbifID"}
"""Fields of a media item, which the API and the archive call the same too."""


def read_pages(pages: Path, folder: Path, *, name: str, checklist_key: str) -> Raw:
    """Read the records of a search (gzipped JSON lines) as the rows that an archive would hold.

    Args:
        pages: The records.
        folder: Where to write the rows.
        name: `occurrence` or `multimedia`.
        checklist_key: The checklist whose classification counts.

    Raises:
        ArchiveError: the file is damaged.
    """

    def found() -> Iterator[tuple[int, list[Row] | str]]:
        for number, record in enumerate(json_lines(pages), 1):
            try:
                media = name == "multimedia"
                yield number, media_rows(record) if media else [occurrence_row(record, checklist_key=checklist_key)]
            except (AttributeError, TypeError) as error:
                yield number, f"a record of another shape ({error})"

    return write_rows(found(), folder, name=name)


def occurrence_row(record: Mapping[str, Any], *, checklist_key: str) -> dict[str, str | None]:
    """The line of occurrence.txt of one record.

    Newer records carry one classification per checklist; if the wanted one is there, it is used.
    """
    row: dict[str, str | None] = {name: _text(record.get(name)) for name in DIRECT}
    row["gbifID"] = _text(record.get("key"))
    row["issue"] = ";".join(record.get("issues") or ()) or None
    row["checklistKey"] = None
    chosen = (record.get("classifications") or {}).get(checklist_key)
    if chosen is not None:
        row.update(_classified(chosen), checklistKey=checklist_key)
    return row


def media_rows(record: Mapping[str, Any]) -> list[Row]:
    """The lines of multimedia.txt of one record."""
    key = _text(record.get("key"))
    return [{"gbifID": key, **{name: _text(item.get(name)) for name in MEDIA}} for item in record.get("media") or ()]


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
