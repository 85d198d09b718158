"""Writes down a table of one's own photographs as it is now, and reads the rows back."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.archive.raw import Raw, Row, json_lines, write_rows
from pipeline.errors import FolderError
from pipeline.files import atomic_path, sha256_of
from pipeline.folder.labelled_records import digest_in, media_of, occurrence_of
from pipeline.folder.table import Line, read_table
from pipeline.paths import Paths

_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A table of photographs as it was when it was read."""

    path: Path
    """Gzipped JSON lines, one for each line of the table."""
    content: str
    """SHA-256 of the lines, which contain the table's rows and the hashes of the photographs' files."""
    photographs: int
    table_sha256: str


def write_listing(paths: Paths, table_path: Path, *, log: Callable[[str], object]) -> Listing:
    """Write down every row of a table, with a hash of its photograph.

    Raises:
        FolderError: the table cannot be read, has no rows, or none of its files can be read.
    """
    table = read_table(table_path)
    unused = f"; not used: {', '.join(table.unused)}" if table.unused else ""
    log(f"read {table.path} as {table.encoding}, separated by {table.delimiter!r}{unused}")
    digest, photographs, missing = hashlib.sha256(), 0, []
    known: set[str | None] = set()
    target = paths.downloads / "folder" / "rows.jsonl.gz"
    with atomic_path(target) as partial, gzip.GzipFile(partial, "wb", mtime=0) as stream:
        for row in table.rows():
            record = _record(row, table=table.path, known=known)
            line = json.dumps(record, sort_keys=True).encode() + b"\n"
            digest.update(line)
            stream.write(line)
            photographs += row.problem is None
            address = (record.get("media") or {}).get("identifier")
            if address and not digest_in(address):
                missing.append(f"line {row.line} ({row.values['path']})")
        if not photographs:
            raise FolderError(f"{table.path} names no photograph; every line below the first is one")
        if len(missing) == photographs:
            where = table.path.absolute().parent
            raise FolderError(f"{table.path} names {photographs:,} files, and none can be read; paths begin in {where}")
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        log(f"{len(missing):,} of {photographs:,} files are not there or cannot be read: {shown}")
    return Listing(path=target, content=digest.hexdigest(), photographs=photographs, table_sha256=sha256_of(table.path))


def read_listing(path: Path, folder: Path, *, name: str) -> Raw:
    """The rows of a listing as an archive would hold them, and the lines that are no rows.

    Args:
        path: What `write_listing` wrote.
        folder: Where to write them.
        name: `occurrence` or `multimedia`.

    Raises:
        ArchiveError: the file is damaged.
    """

    def found() -> Iterator[tuple[int, list[Row] | str]]:
        for record in json_lines(path):
            if name == "multimedia":
                yield record["line"], [record["media"]] if "media" in record else []
            elif "problem" in record:
                yield record["line"], record["problem"]
            else:
                yield record["line"], [record["occurrence"]] if "occurrence" in record else []

    return write_rows(found(), folder, name=name)


def _record(row: Line, *, table: Path, known: set[str | None]) -> dict[str, Any]:
    """The line for a row; an observation is written only once, with its first photograph."""
    if row.problem is not None:
        return {"line": row.line, "problem": f"{table.name}, line {row.line}: {row.problem}"}
    occurrence = occurrence_of(row.values)
    media = media_of(row.values, occurrence, folder=table.parent)
    first = occurrence["gbifID"] not in known
    known.add(occurrence["gbifID"])
    return {"line": row.line, "media": media, **({"occurrence": occurrence} if first else {})}
