"""Builds `occurrences.parquet` and `media.parquet` from what `pipeline.gbif.source` fetched, in bounded memory.

The text of an archive is unpacked and sifted (`pipeline.archive.raw`), then DuckDB reads it once and writes Parquet.
While DuckDB reads one file, the other is unpacked.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import duckdb

from pipeline.archive.description import read_layout
from pipeline.archive.raw import Raw, unpack
from pipeline.archive.search_records import read_pages
from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError
from pipeline.files import work_folder
from pipeline.folder.listing import read_listing
from pipeline.gbif.source import SourceRecord
from pipeline.paths import Paths
from pipeline.query import connect, copy, count, to_parquet
from pipeline.rejections import write_rejections

BACKBONE: Final = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
"""GBIF's key of the GBIF Backbone Taxonomy, which has integer keys."""
MEMORY: Final = "2 GiB"
"""DuckDB's share of the 4 GiB for reading an archive; the rest is for Python and for what DuckDB does not count."""
JUDGED_KEYS: Final = 100_000
"""How many taxon keys are looked at to decide whether an archive follows the backbone."""


def build_occurrences(paths: Paths, settings: Settings) -> Path:
    """Write `occurrences.parquet`, `media.parquet` and the rejections of unreadable lines.

    Memory does not depend on the size of the archive; the disk below `data_root` must hold its two text files.

    Returns:
        The path of `occurrences.parquet`.

    Raises:
        GbifError: nothing was fetched yet.
        ArchiveError: the archive is damaged, unsafe or lacks what the pipeline needs.
        LockedError: another run is building the same tables.
    """
    record = SourceRecord.read(paths)
    source = paths.data_root / record.archive
    if not source.exists():
        raise ArchiveError(f"{source} is missing; materialise gbif_download again")
    with (
        work_folder(paths.work("occurrences")) as work,
        ThreadPoolExecutor(max_workers=1) as unpacking,
        connect(inputs={}, memory_limit=MEMORY, spill=work / "spill") as connection,
    ):
        # DuckDB reads the media on one core while the occurrences are unpacked on another.
        read = _reader(record, source, work)
        coming_media, coming_occurrences = (unpacking.submit(read, name) for name in ("multimedia", "occurrence"))
        media = _view(connection, coming_media.result())
        copy(connection, "media", output=paths.table("media"))
        media.path.unlink()
        occurrences = _view(connection, coming_occurrences.result())
        checklist = _checklist(connection, record, settings)
        output = paths.table("occurrences")
        copy(
            connection,
            "occurrences",
            output=output,
            metadata=record.citation_facts(),
            checklist_key=checklist,
            scope=settings.name,
        )
        rejected = to_parquet(
            "occurrence_rejections",
            inputs={"occurrence_rejects": occurrences.rejects, "multimedia_rejects": media.rejects},
            output=work / "rejected.parquet",
        )
        for raw, table in ((media, paths.table("media")), (occurrences, output)):
            _require_all(raw, table)
        write_rejections(paths, "occurrences", rejected)
    return output


def _reader(record: SourceRecord, source: Path, work: Path) -> Callable[[str], Raw]:
    """Reads the raw rows of `multimedia` or `occurrence` from what was fetched."""
    if record.mode == "folder":
        return lambda name: read_listing(source, work, name=name)
    if record.mode == "search" and (key := record.checklist_key) is not None:
        return lambda name: read_pages(source, work, name=name, checklist_key=key)
    layout = read_layout(source)
    files = {"multimedia": layout.multimedia, "occurrence": layout.occurrence}
    return lambda name: unpack(source, files[name], work, name=name)


def _view(connection: duckdb.DuckDBPyConnection, raw: Raw) -> Raw:
    """Make the rows visible to the queries of `sql/` as `occurrence_txt` or `multimedia_txt`."""
    connection.execute(f"create view {raw.name}_txt as {raw.select()}")
    return raw


def _require_all(raw: Raw, table: Path) -> None:
    """Check that no line was lost between the two readers: each is a row of the table or a reject."""
    if count(table) != raw.rows:
        raise ArchiveError(
            f"{raw.path.name} has {raw.rows:,} rows, {table.name} {count(table):,}; please report the archive"
        )


def _checklist(connection: duckdb.DuckDBPyConnection, record: SourceRecord, settings: Settings) -> str:
    """The taxonomy that the keys belong to; where the source does not say, integer keys are those of the backbone."""
    if record.checklist_key is not None:
        return record.checklist_key
    found = connection.execute(
        "select bool_and(regexp_full_match(taxonKey, '[0-9]+')) from "
        "(select taxonKey from occurrence_txt where taxonKey <> '' limit $keys)",
        {"keys": JUDGED_KEYS},
    ).fetchone()
    return BACKBONE if found is not None and found[0] else settings.source.checklist_key
