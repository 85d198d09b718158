"""The record of every attempt: lines while fetching, sealed Parquet files afterwards. Nothing is judged here.

The open journal has one JSON line per attempt. Lines are appended and flushed one by one, so a killed run loses at most
the one that it was writing. When a run ends, or the next one begins, the journal is sealed: it becomes one Parquet file
in `Paths.attempts`, which is never changed afterwards. Files of older versions may lack columns; these are then null.
"""

import contextlib
import datetime as dt
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.files import atomic_path
from pipeline.paths import Paths

AGAIN: Final = "again"
"""The status of an attempt that a retry follows."""

SCHEMA: Final = pa.schema(
    [
        ("photo_id", pa.string()),
        ("url", pa.string()),
        ("attempt", pa.int32()),
        ("status", pa.string()),
        ("http_status", pa.int32()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("error", pa.string()),
        ("limits", pa.string()),
        ("host", pa.string()),
        ("fetched_at", pa.string()),
    ]
)
SEALED: Final = SCHEMA.append(pa.field("line", pa.int64()))
"""A sealed file: its lines, numbered through all files in the order in which they were written."""
_BLOCK: Final = 1 << 22
"""Bytes of lines that are held in memory at a time while a journal is sealed."""


def now() -> str:
    """The moment in UTC, as DuckDB's TIMESTAMP reads it."""
    return dt.datetime.now(tz=dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


@dataclass(kw_only=True, slots=True)
class Attempt:
    """How one attempt to fetch a photograph ended: one line of the journal."""

    photo_id: str
    url: str
    attempt: int
    """1, 2, ... within a run; 0 where the host was not asked at all."""
    status: str
    """ok, gone, not_jpeg, corrupt, too_large, blocked or failed where it is the last one, else `AGAIN`."""
    http_status: int | None = None
    sha256: str | None = None
    bytes: int | None = None
    """What came in of the body, also where it broke off."""
    width: int | None = None
    height: int | None = None
    error: str | None = None
    limits: str = ""
    host: str | None = None
    """The host that was asked last: the photograph's own, or one that it redirected to; None where none was."""
    fetched_at: str = field(default_factory=now)


class Journal:
    """The journal, open for appending."""

    def __init__(self, stream: BinaryIO) -> None:
        """Append to `stream`."""
        self._stream = stream

    def append(self, attempt: Attempt) -> None:
        """Add a line and hand it to the operating system: a kill of this process does not lose it any more.

        Raises:
            OSError: the disk refuses.
        """
        values = {name: getattr(attempt, name) for name in SCHEMA.names}
        if attempt.error:
            # An error may quote bytes of a host that are no text (as lone surrogates); readers of JSON refuse those.
            values["error"] = attempt.error.encode(errors="replace").decode()
        self._stream.write(json.dumps(values, separators=(",", ":")).encode() + b"\n")
        self._stream.flush()


@contextlib.contextmanager
def open_journal(paths: Paths) -> Iterator[Journal]:
    """Open the journal for appending; `seal` it afterwards."""
    paths.fetch_journal.parent.mkdir(parents=True, exist_ok=True)
    with paths.fetch_journal.open("ab") as stream:
        yield Journal(stream)


def seal(paths: Paths) -> None:
    """Turn the open journal, also one that a killed run left, into a Parquet file.

    Raises:
        TableError: a line cannot be read.
    """
    nothing = paths.attempts / f"{0:06d}.parquet"
    if not nothing.exists() or pq.read_schema(nothing) != SEALED:
        # Readers of the folder find a table with every column of this version before anything was fetched.
        with atomic_path(nothing) as partial:
            pq.write_table(SEALED.empty_table(), partial)
    journal = paths.fetch_journal
    if journal.exists():
        _cut_torn_line(journal)
        if journal.stat().st_size:
            # The name is taken before the content is converted: a kill between the two leaves no line twice.
            journal.replace(paths.attempts / f"{_next_number(paths.attempts):06d}.jsonl")
        else:
            journal.unlink()
    for lines in sorted(paths.attempts.glob("*.jsonl")):
        sealed = lines.with_suffix(".parquet")
        if not sealed.exists():
            _convert(lines, sealed)
        lines.unlink()


def _convert(lines: Path, sealed: Path) -> None:
    parsing = pj.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore")
    try:
        with (
            lines.open("rb") as stream,
            atomic_path(sealed) as partial,
            pq.ParquetWriter(partial, SEALED, compression="zstd") as writer,
        ):
            line = int(lines.stem) << 32
            # Block by block: Arrow's own streaming keeps several times more in memory than it has handed out.
            while block := b"".join(stream.readlines(_BLOCK)):
                reading = pj.ReadOptions(use_threads=False, block_size=len(block))
                table = pj.read_json(pa.BufferReader(block), read_options=reading, parse_options=parsing)
                numbers = pa.array(np.arange(line, line + table.num_rows, dtype=np.int64))
                writer.write_table(table.append_column(SEALED.field("line"), numbers))
                line += table.num_rows
    except pa.ArrowInvalid as error:
        message = f"the journal of fetches {lines} is damaged: {error}; remove the line, or the file to fetch anew"
        raise TableError(message) from error


def _next_number(folder: Path) -> int:
    return max((int(path.stem) for path in folder.iterdir() if path.stem.isdigit()), default=0) + 1


def _cut_torn_line(path: Path) -> None:
    """Cut off what follows the last line end: a line that a killed run did not finish."""
    with path.open("rb+") as stream:
        end = position = stream.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - (1 << 16))
            stream.seek(start)
            found = stream.read(position - start).rfind(b"\n")
            if found >= 0:
                position = start + found + 1
                break
            position = start
        if position < end:
            stream.truncate(position)
