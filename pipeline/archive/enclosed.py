"""Reads text files whose values stand in quotes, as other software than GBIF's writes them: a value may span lines.

Slower than `pipeline.archive.lines`, with the same outcome: every line belongs to a row or leaves a trace.
"""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import pyarrow as pa

from pipeline.archive.batches import BatchWriter, batches
from pipeline.archive.description import TextFile
from pipeline.archive.lines import LONGEST_LINE, SHOWN, lines

MOST_BYTES: Final = LONGEST_LINE
"""A row longer than this began with a quote that is never closed."""


class _UnclosedError(Exception):
    """A row does not end."""


class _Lines:
    """The lines of a file; those of the row that is being read can be given back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._coming = lines(stream)
        self._returned: deque[bytes] = deque()
        self.taken: list[bytes] = []
        self.number = 1
        """Of the first line taken."""
        self.size = 0
        """Bytes taken."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.size > MOST_BYTES:
            raise _UnclosedError(f"no end of the row within {MOST_BYTES:,} bytes")
        line = self._returned.popleft() if self._returned else next(self._coming)
        self.taken.append(line)
        self.size += len(line)
        return line.decode(errors="surrogateescape")

    def keep(self) -> None:
        """The row is finished."""
        self._forget(len(self.taken))

    def drop_first(self) -> bytes:
        """Only the first line is finished; the others are read anew."""
        first = self.taken[0]
        self._returned.extendleft(reversed(self.taken[1:]))
        self._forget(1)
        return first

    def _forget(self, lines: int) -> None:
        self.number += lines
        self.taken, self.size = [], 0


def read_rows(stream: IO[bytes], file: TextFile, *, target: Path, wanted: frozenset[str], rejects: BatchWriter) -> int:
    """Write the wanted columns of the rows to the Parquet file `target`, and lines that belong to none to `rejects`.

    Args:
        stream: The text.
        file: Its layout, with `enclosed_by`.
        target: Where the rows go, all text, a blank value as null.
        wanted: Columns to keep.
        rejects: As for `pipeline.archive.lines.sift`.

    Returns:
        The number of rows.
    """
    chosen = [(name, index) for index, name in enumerate(file.columns) if name in wanted]
    source = _Lines(stream)
    for _ in range(file.header_lines):
        if next(source, None) is not None:
            source.keep()
    with batches(target, pa.schema([(name, pa.string()) for name, _ in chosen])) as rows:
        reader = _reader(source, file)
        while True:
            try:
                values = next(reader)
                fault = _fault(values, file) if source.size <= MOST_BYTES else f"more than {MOST_BYTES:,} bytes"
            except StopIteration:
                break
            except (csv.Error, _UnclosedError) as error:
                values, fault = [], str(error)
            if fault is not None:
                number, line = source.number, source.drop_first()
                # What was taken in vain after the first line is read anew, by a reader that starts afresh.
                reader = _reader(source, file)
                shown = line.rstrip(b"\r\n")[:SHOWN].decode(errors="backslashreplace")
                rejects.add(number, "unreadable_line", f"{fault}: {shown}")
            elif not values[file.key].strip(" "):
                rejects.add(source.number, "no_gbif_id", "a line without gbifID")
                source.keep()
            else:
                rows.add(*(values[index] or None for _, index in chosen))
                source.keep()
        return rows.rows


def _reader(source: _Lines, file: TextFile) -> Iterator[list[str]]:
    return csv.reader(source, delimiter=file.delimiter, quotechar=file.enclosed_by, strict=True)


def _fault(values: list[str], file: TextFile) -> str | None:
    if len(values) != len(file.columns):
        return f"{len(values):,} fields where {len(file.columns):,} are expected"
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return None
