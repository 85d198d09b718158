"""Turns what was fetched, an archive or records in JSON, into raw rows that DuckDB reads; nothing is interpreted.

Only rows with a gbifID are kept, in the order of the source; every other line becomes a row of the rejects.
"""

import gzip
import json
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ml.spec import RANKS
from pipeline.archive.batches import REJECTS, batches
from pipeline.archive.description import TextFile
from pipeline.archive.enclosed import read_rows
from pipeline.archive.lines import LONGEST_LINE, sift
from pipeline.archive.members import member_bytes, opened_member
from pipeline.errors import ArchiveError
from pipeline.query import identifier, literal, parquet

Row = Mapping[str, str | None]
"""A row of one of the two files, by column."""
WANTED: Final = {
    "occurrence": frozenset(
        {
            *("gbifID", "occurrenceID", "references", "catalogNumber", "datasetKey", "license", "countryCode"),
            *("eventDate", "year", "decimalLatitude", "decimalLongitude", "coordinateUncertaintyInMeters"),
            *("informationWithheld", "recordedBy", "occurrenceStatus", "individualCount"),
            *("scientificName", "verbatimScientificName", "identificationQualifier", "taxonRank", "taxonomicStatus"),
            *("taxonKey", "acceptedTaxonKey", "checklistKey", "issue", *RANKS, *(f"{rank}Key" for rank in RANKS)),
        }
    ),
    "multimedia": frozenset(
        {"gbifID", "identifier", "format", "type", "license", "rightsHolder", "creator", "references"}
    ),
}
"""The columns that the queries of the two files need."""


@dataclass(frozen=True, kw_only=True)
class Raw:
    """The rows of one file."""

    name: str
    """`occurrence` or `multimedia`."""
    path: Path
    """Text under one header line, or Parquet."""
    rows: int
    rejects: Path
    """Parquet, as `pipeline.archive.batches.REJECTS`."""
    columns: tuple[str, ...]
    """The columns of a text, by position; those of a Parquet file in any order."""
    delimiter: str | None = None
    """None for Parquet."""
    defaults: Mapping[str, str] = field(default_factory=dict)

    def select(self) -> str:
        """A SELECT of all wanted columns, as text; a column that the file does not have is its default or null.

        Every column of a text file is named, so that DuckDB does not guess.
        """
        present = {name for name in self.columns if name in WANTED[self.name]}
        chosen = []
        for name in sorted(WANTED[self.name]):
            default = literal(self.defaults[name]) if name in self.defaults else "null"
            value = f"coalesce({identifier(name)}, {default})" if name in present else f"{default}::varchar"
            chosen.append(f"{value} as {identifier(name)}")
        return f"select {', '.join(chosen)} from {self._reader(present)}"  # noqa: S608 (names are quoted)

    def _reader(self, present: set[str]) -> str:
        if self.delimiter is None:
            return parquet(self.path)
        named = (name if name in present else f"_{index}" for index, name in enumerate(self.columns))
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in named)
        return (
            f"read_csv({literal(str(self.path))}, delim={literal(self.delimiter)}, quote='', escape='', comment='', "
            f"header=false, skip=1, auto_detect=false, columns={{{columns}}}, nullstr='', strict_mode=true, "
            f"hive_partitioning=false, max_line_size={2 * LONGEST_LINE})"
        )


def unpack(archive: Path, file: TextFile, folder: Path, *, name: str) -> Raw:
    """Unpack one file of an archive into `folder`, and separate its lines into rows and rejects.

    Raises:
        ArchiveError: the file is unsafe or damaged, or the disk cannot hold it.
    """
    needed, free = member_bytes(archive, file.location), shutil.disk_usage(folder).free
    if needed > free:
        raise ArchiveError(f"{archive}: {file.location} unpacks to {needed:,} bytes, {folder} has {free:,} free")
    target = folder / (f"{name}.parquet" if file.enclosed_by else f"{name}.txt")
    rejects = folder / f"{name}_rejects.parquet"
    with opened_member(archive, file.location) as stream, batches(rejects, REJECTS) as rejected:
        if file.enclosed_by:
            rows = read_rows(stream, file, target=target, wanted=WANTED[name], rejects=rejected)
        else:
            rows = sift(stream, file, target=target, rejects=rejected)
    return Raw(
        name=name,
        path=target,
        rows=rows,
        rejects=rejects,
        columns=file.columns,
        delimiter=None if file.enclosed_by else file.delimiter,
        defaults=file.defaults,
    )


def write_rows(found: Iterable[tuple[int, list[Row] | str]], folder: Path, *, name: str) -> Raw:
    """Write rows that do not come from an archive as one of its files would hold them.

    Args:
        found: For each record its line, and its rows or the reason why it has none.
        folder: Where to write them.
        name: `occurrence` or `multimedia`.
    """
    columns = tuple(sorted(WANTED[name]))
    target, rejects = folder / f"{name}.parquet", folder / f"{name}_rejects.parquet"
    with (
        batches(target, pa.schema([(column, pa.string()) for column in columns])) as rows,
        batches(rejects, REJECTS) as rejected,
    ):
        for line, records in found:
            if isinstance(records, str):
                rejected.add(line, "unreadable_line", records)
                continue
            for record in records:
                if record["gbifID"]:
                    rows.add(*(record.get(column) for column in columns))
                else:
                    rejected.add(line, "no_gbif_id", "a record without key")
    return Raw(name=name, path=target, rows=rows.rows, rejects=rejects, columns=columns)


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The documents of a file of gzipped JSON lines.

    Raises:
        ArchiveError: the file is damaged.
    """
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ArchiveError(f"{path} is damaged ({error}); remove it and materialise gbif_download again") from error
