"""Photographs from standard input: the bytes of one, or lines that name some, told apart by how they begin."""

import os
from collections.abc import Iterator
from io import BufferedReader
from typing import BinaryIO, Final

from ml.errors import PhotoError
from ml.identify.photographs import Photograph, named

NAME: Final = "-"
"""How standard input is given, and what its photograph is called."""
LONGEST_LINE: Final = 8192
"""Bytes; no path and no address of a photograph is longer."""
_CHUNK: Final = 65_536
_TEXTS: Final = {"plain text", "of an unknown kind", "blank"}
"""What lines that name photographs look like: paths need not be ASCII."""


def from_standard_input(stream: BinaryIO | BufferedReader) -> Iterator[Photograph]:
    """The photograph that `stream` holds, or those that its lines name, as they come.

    Lines end with a line feed; or with a zero byte, as `find -print0` writes them, where there is one at the beginning.
    Empty ones are passed over. Of a photograph, no more is read than the largest file may have.
    """
    from ml.images.formats import kind_of  # noqa: PLC0415 (NumPy and Pillow, with the next)
    from ml.serving.inputs import MAX_BYTES, SIGNATURE_BYTES, looks_like_photograph, no_photograph  # noqa: PLC0415

    try:
        start = _at_least(stream, SIGNATURE_BYTES)
        if not start:
            yield Photograph(name=NAME, source=PhotoError("standard input is empty"))
        elif looks_like_photograph(start):
            content = start + _up_to(stream, MAX_BYTES + 1 - len(start))
            too_large = PhotoError(f"more bytes than the {MAX_BYTES:,} that are read")
            yield Photograph(name=NAME, source=content if len(content) <= MAX_BYTES else too_large)
        elif kind_of(start) not in _TEXTS:
            yield Photograph(name=NAME, source=PhotoError(no_photograph(start)))
        else:
            yield from _lines(stream, start)
    except OSError as error:
        yield Photograph(name=NAME, source=PhotoError(f"cannot read standard input ({error.strerror or error})"))


def _lines(stream: BinaryIO | BufferedReader, start: bytes) -> Iterator[Photograph]:
    waiting, separator = start, b""
    while True:
        if not separator and (b"\0" in waiting or b"\n" in waiting):
            # No path holds a zero byte, but a line feed is allowed.
            separator = b"\0" if b"\0" in waiting else b"\n"
        if separator:
            *lines, waiting = waiting.split(separator)
            for line in lines:
                yield from _named(line)
        if len(waiting) > LONGEST_LINE:
            # It may have no end at all.
            reason = f"a line of more than {LONGEST_LINE:,} bytes names no photograph; nothing after it was read"
            yield Photograph(name=NAME, source=PhotoError(reason))
            return
        chunk = stream.read1(_CHUNK) if isinstance(stream, BufferedReader) else stream.read(_CHUNK)
        if not chunk:
            yield from _named(waiting)
            return
        waiting += chunk


def _named(line: bytes) -> Iterator[Photograph]:
    name = line.removesuffix(b"\r")
    if name.strip():
        yield from named([os.fsdecode(name)])


def _at_least(stream: BinaryIO | BufferedReader, size: int) -> bytes:
    """The first bytes, `size` or more, or all that there are; a slow writer is not waited for beyond that."""
    found = b""
    while len(found) < size:
        chunk = stream.read1(_CHUNK) if isinstance(stream, BufferedReader) else stream.read(size - len(found))
        if not chunk:
            break
        found += chunk
    return found


def _up_to(stream: BinaryIO | BufferedReader, size: int) -> bytes:
    chunks, read = [], 0
    while read < size and (chunk := stream.read(min(1 << 20, size - read))):
        chunks.append(chunk)
        read += len(chunk)
    return b"".join(chunks)
