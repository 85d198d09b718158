"""Separates the lines of a text file that are rows from those that are not, before any parser sees them.

DuckDB's reader gives up on a whole file because of one line that ends in an odd way; what passes here it reads line by
line. A line is what ends with a line feed; a carriage return before it belongs to the end. Values are not changed, and
quotes are characters like any other.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from pipeline.archive.batches import BatchWriter
from pipeline.archive.description import TextFile

BLOCK: Final = 4 << 20
"""Bytes that are unpacked together."""
LONGEST_LINE: Final = 1 << 20
"""Bytes; GBIF's longest lines have some ten thousand. DuckDB's reader would take twice as many."""
SHOWN: Final = 200
"""Bytes of a rejected line that the reject shows."""
HEADER: Final = b"-\n"
"""The first line of the output, which the reader skips: DuckDB would drop a byte order mark at the start of a file."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


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
    rows = 0
    separator, fields, key = file.delimiter.encode(), len(file.columns), file.key
    with target.open("wb") as output:
        output.write(HEADER)
        for number, whole in enumerate(lines(stream), 1):
            if number <= file.header_lines:
                continue
            line = whole.removesuffix(b"\n").removesuffix(b"\r")
            fault = _fault(line, separator=separator, fields=fields, key=key)
            if fault is None:
                output.write(line + b"\n")
                rows += 1
            else:
                rejects.add(number, *fault)
    return rows


def lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a text, each ending with a line feed, the first without a byte order mark.

    A line longer than `LONGEST_LINE` is cut after one more byte, so that memory is bounded.
    """
    text = io.BufferedReader(stream, BLOCK)  # type: ignore[type-var]  # a zip's member has all that it needs
    mark = BYTE_ORDER_MARK
    while line := text.readline(LONGEST_LINE + len(b"\r\n")):
        line, mark = line.removeprefix(mark), b""
        if line.endswith(b"\n"):
            yield line
            continue
        yield line[: LONGEST_LINE + 1] + b"\n"
        while line and not line.endswith(b"\n"):
            line = text.readline(BLOCK)


def _fault(line: bytes, *, separator: bytes, fields: int, key: int) -> tuple[str, str] | None:
    """The rule that rejects a line, and the reason in words; None for a row."""
    found = line.count(separator) + 1
    if len(line) > LONGEST_LINE:
        reason = f"more than {LONGEST_LINE:,} bytes"
    elif not (line.isascii() or _is_utf8(line)):
        reason = "not UTF-8"
    elif b"\r" in line:
        reason = "a carriage return inside the line"
    elif found != fields:
        reason = f"{found:,} fields where {fields:,} are expected"
    elif not line.split(separator, key + 1)[key].strip(b" "):
        return "no_gbif_id", "a line without gbifID"
    else:
        return None
    return "unreadable_line", f"{reason}: {line[:SHOWN].decode(errors='backslashreplace')}"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
