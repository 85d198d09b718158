"""Reads text files with quoted values, which may span lines. GBIF does not write such files; other publishers do.

This is slower than `pipeline.archive.lines`, with the same outcome: every line belongs to a row or to the rejects.
"""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import pyarrow as pa

from pipeline.archive.batches import BatchWriter, batches
from pipeline.archive.description import TextFile
from pipeline.archive.lines import LONGEST_LINE, SHOWN, whole_lines

MOST_BYTES: Final = LONGEST_LINE
"""A row longer than this began with a quote that is never closed."""


class _UnclosedError(Exception):
    """A row has no end."""


class _Lines:
    """The lines of a file; the lines of the row being read can be given back."""

    def __init__(self, stream: IO[bytes]) -> None:
        # Not splitlines: it would part a line at a carriage return too.
        self._coming = (line + b"\n" for piece in whole_lines(stream) for line in piece[:-1].split(b"\n"))
        self._returned: deque[bytes] = deque()
        self.taken: list[bytes] = []
        self.number = 1
        """The number of the first line taken."""
        self.size = 0
        """Bytes of the lines taken."""

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
        """The row is complete."""
        self._forget(len(self.taken))

    def drop_first(self) -> bytes:
        """Finish only the first line; the others are read again."""
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
        target: Receives the rows, all text, with null for a blank value.
        wanted: Columns to keep.
        rejects: Rows of `pipeline.archive.batches.REJECTS`; the rule is `unreadable_line` or `no_gbif_id`.

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
                # The lines after the first are read again, by a new reader.
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
