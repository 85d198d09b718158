"""Builds `occurrences.parquet` and `media.parquet` from what `pipeline.gbif.source` fetched."""

import gzip
import json
import tempfile
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from pipeline.config import Settings
from pipeline.errors import ArchiveError
from pipeline.gbif.archive import extract, load, read_layout
from pipeline.gbif.records import DIRECT, media_rows, occurrence_row
from pipeline.gbif.source import SourceRecord
from pipeline.paths import Paths
from pipeline.query import connect, copy, select
from pipeline.rejections import write_rejections

BACKBONE: Final = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
"""GBIF's key of its former taxonomy, whose keys are integers."""
OCCURRENCE_COLUMNS: Final = {"gbifID", "issue", "checklistKey", *DIRECT}
MEDIA_COLUMNS: Final = {"gbifID", "identifier", "format", "type", "license", "rightsHolder", "creator", "references"}


def build_occurrences(paths: Paths, settings: Settings) -> Path:
    """Write `occurrences.parquet`, `media.parquet` and the rejections of unreadable lines.

    Returns:
        The path of `occurrences.parquet`.

    Raises:
        GbifError: nothing was fetched yet.
        ArchiveError: the archive is damaged, unsafe or lacks what the road needs.
    """
    record = SourceRecord.read(paths)
    raw = paths.data_root / record.archive
    if not raw.exists():
        raise ArchiveError(f"{raw} is missing; materialise gbif_download again")
    with connect(inputs={}) as connection:
        if record.mode == "search":
            _load_pages(connection, raw, checklist_key=record.checklist_key)
        else:
            _load_archive(connection, raw)
        output = paths.table("occurrences")
        copy(connection, "media", output=paths.table("media"))
        copy(connection, "occurrences", output=output, checklist_key=_checklist(connection, record, settings))
        rejects = connection.execute(select("occurrence_rejections")).fetchall()
    columns = list(zip(*rejects, strict=True)) or [(), (), ()]
    table = pa.table(
        {name: pa.array(values, pa.string()) for name, values in zip(("key", "rule", "detail"), columns, strict=True)}
    )
    write_rejections(paths, "occurrences", table)
    return output


def _load_archive(connection: duckdb.DuckDBPyConnection, archive: Path) -> None:
    layout = read_layout(archive)
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        for table, file, wanted in (
            ("occurrence_txt", layout.occurrence, OCCURRENCE_COLUMNS),
            ("multimedia_txt", layout.multimedia, MEDIA_COLUMNS),
        ):
            text = extract(archive, file, Path(folder))
            load(connection, text, file, table=table, wanted=wanted)
            text.unlink()


def _load_pages(connection: duckdb.DuckDBPyConnection, pages: Path, *, checklist_key: str) -> None:
    """Searches are bounded by 100,000 records, so their rows fit in memory."""
    occurrences: list[dict[str, str | None]] = []
    media: list[dict[str, str | None]] = []
    with gzip.open(pages, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            occurrences.append(occurrence_row(record, checklist_key=checklist_key))
            media.extend(media_rows(record))
    for table, rows, wanted in (
        ("occurrence_txt", occurrences, OCCURRENCE_COLUMNS),
        ("multimedia_txt", media, MEDIA_COLUMNS),
    ):
        columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in sorted(wanted)}
        columns["line_number"] = pa.array(range(1, len(rows) + 1), pa.int64())
        connection.register(table, pa.table(columns))
        connection.execute(f"create table {table}_rejects (line bigint, error_message varchar, csv_line varchar)")


def _checklist(connection: duckdb.DuckDBPyConnection, record: SourceRecord, settings: Settings) -> str:
    """The taxonomy that the keys belong to: an archive of integer keys follows the former backbone."""
    if record.mode != "archive":
        return record.checklist_key
    found = connection.execute(
        "select bool_and(regexp_full_match(taxonKey, '[0-9]+')) from occurrence_txt where taxonKey <> ''"
    ).fetchone()
    return BACKBONE if found is not None and found[0] else settings.source.checklist_key
