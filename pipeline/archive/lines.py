"""Separates the lines of a text file that are rows from those that are not, before any parser sees them.

DuckDB's reader gives up on a whole file because of one line that ends in an odd way; what passes here it reads line by
line. A line is what ends with a line feed; a carriage return before it belongs to the end. Values are not changed, and
quotes are characters like any other. Lines are judged a block at a time, with NumPy: one by one, in Python, they take
too long for an archive of ten million.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from pipeline.archive.batches import BatchWriter
from pipeline.archive.description import TextFile

BLOCK: Final = 4 << 20
"""Bytes looked at together; a few of them are held at a time."""
LONGEST_LINE: Final = 1 << 20
"""Bytes; GBIF's longest lines have some ten thousand. DuckDB's reader would take twice as many."""
SHOWN: Final = 200
"""Bytes of a rejected line that the reject shows."""
HEADER: Final = b"-\n"
"""The first line of the output, which the reader skips: DuckDB would drop a byte order mark at the start of a file."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Whole lines and where they are."""

    data: bytes
    starts: _Numbers
    ends: _Numbers
    fields: _Numbers
    blank_key: npt.NDArray[np.bool_]
    """Whether the value of the key column begins the way a blank one does; only meaningful where `fields` fits."""


def sift(stream: IO[bytes], file: TextFile, *, target: Path, rejects: BatchWriter) -> int:
    """Write `HEADER` and the lines that are rows to `target`, the others to `rejects`.

    A row is valid UTF-8, no longer than `LONGEST_LINE`, has as many fields as the file has columns, and a gbifID.

    Args:
        stream: The text.
        file: Its layout.
        target: Receives the rows.
        rejects: Rows of `pipeline.archive.batches.REJECTS`; the rule is `unreadable_line` or `no_gbif_id`.

    Returns:
        The number of rows.
    """
    rows = seen = 0
    with target.open("wb") as output:
        output.write(HEADER)
        for data in whole_lines(stream):
            block = _measured(data.replace(b"\r\n", b"\n") if b"\r" in data else data, file)
            dropped = _dropped(block, file, before=seen, rejects=rejects)
            lines, begin, view = len(block.starts), 0, memoryview(block.data)
            for index in dropped:
                output.write(view[begin : block.starts[index]])
                begin = int(block.ends[index]) + 1
            output.write(view[begin:])
            rows += lines - len(dropped)
            seen += lines
    return rows


def whole_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The text in pieces of whole lines, each ending with a line feed, without a byte order mark.

    Of a line longer than `LONGEST_LINE` only that much and one more byte come, so that memory is bounded.
    """
    rest, skipping = b"", False
    first = True
    while chunk := stream.read(BLOCK):
        if first:
            first, chunk = False, chunk.removeprefix(BYTE_ORDER_MARK)
        if skipping:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            skipping, chunk = False, chunk[end:]
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
        if len(rest) > LONGEST_LINE:
            rest, skipping = rest[: LONGEST_LINE + 1], True
    if rest:
        yield rest + b"\n"


def _measured(data: bytes, file: TextFile) -> _Block:
    separator = ord(file.delimiter)
    values = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(values == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    separators = values == separator
    fields = np.add.reduceat(separators.view(np.uint8), starts, dtype=np.uint32).astype(np.int64) + 1
    begin = starts
    if file.key:
        positions = np.flatnonzero(separators)
        before = np.cumsum(fields - 1) - (fields - 1)
        wanted = np.minimum(before + file.key - 1, len(positions) - 1)
        begin = positions[wanted] + 1 if len(positions) else starts
    first = values[np.minimum(begin, len(values) - 1)]
    blank = (first == separator) | (first == ord("\n")) | (first == ord(" "))
    return _Block(data=data, starts=starts, ends=ends, fields=fields, blank_key=blank)


def _dropped(block: _Block, file: TextFile, *, before: int, rejects: BatchWriter) -> list[int]:
    """The lines that are no rows, in order; those that are no header are rejected."""
    doubtful = (block.fields != len(file.columns)) | (block.ends - block.starts > LONGEST_LINE) | block.blank_key
    if b"\r" in block.data:
        returns = np.flatnonzero(np.frombuffer(block.data, np.uint8) == ord("\r"))
        doubtful[np.searchsorted(block.ends, returns)] = True
    try:
        block.data.decode()
    except UnicodeDecodeError:
        doubtful[:] = True
    headers = max(0, file.header_lines - before)
    doubtful[:headers] = True
    dropped = []
    for index in map(int, np.flatnonzero(doubtful)):
        if index >= headers:
            line = block.data[block.starts[index] : block.ends[index]]
            fault = _fault(line, file, fields=int(block.fields[index]))
            if fault is None:
                continue
            rejects.add(before + index + 1, *fault)
        dropped.append(index)
    return dropped


def _fault(line: bytes, file: TextFile, *, fields: int) -> tuple[str, str] | None:
    """The rule that rejects a line, and the reason in words; None for a row."""
    try:
        line.decode()
        readable = True
    except UnicodeDecodeError:
        readable = False
    if len(line) > LONGEST_LINE:
        reason = f"more than {LONGEST_LINE:,} bytes"
    elif not readable:
        reason = "not UTF-8"
    elif b"\r" in line:
        reason = "a carriage return inside the line"
    elif fields != len(file.columns):
        reason = f"{fields:,} fields where {len(file.columns):,} are expected"
    elif not line.split(file.delimiter.encode())[file.key].strip(b" "):
        return "no_gbif_id", "a line without gbifID"
    else:
        return None
    return "unreadable_line", f"{reason}: {line[:SHOWN].decode(errors='backslashreplace')}"
