"""The boxes of a HEIC file: how much work its picture is, before any of it is decoded. Loads nothing.

A picture can be a grid of tiles, and each tile a grid again; a few bytes name one tile 65,000 times, which a decoder
would decode 65,000 times. Boxes: ISO/IEC 14496-12 (base media file format) and 23008-12 (image file format).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from ml.errors import PhotoError

Box = tuple[bytes, bytes]
"""Type and content."""

MOST_BOXES: Final = 20_000
"""Within one box; a photograph of a phone has about a hundred."""
_DEEPEST: Final = 4
"""Grids of grids; phones write one level."""
_FULL: Final = 4
"""Bytes of version and flags at the begin of a full box."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """The pictures of a file and how they are made of each other."""

    primary: int
    sizes: dict[int, int]
    """Item to the number of its pixels."""
    parts: dict[int, list[int]]
    """Item to those that it is put together from, as often as they are named."""
    helpers: dict[int, list[int]]
    """Item to its transparency, depth and other auxiliary pictures."""
    _known: dict[int, int] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read the boxes of a file.

        Raises:
            PhotoError: they are damaged, or there is no still picture among them.
        """
        try:
            meta = _one(content, b"meta", lenient=True)
            if meta is None:
                raise PhotoError("it holds no still picture")
            return cls._of(meta[_FULL:])
        except (struct.error, IndexError) as error:
            raise PhotoError("its boxes are damaged") from error

    @classmethod
    def _of(cls, meta: bytes) -> Self:
        pitm, iprp, iref = (_one(meta, kind) for kind in (b"pitm", b"iprp", b"iref"))
        if pitm is None or iprp is None:
            raise PhotoError("it names no picture")
        (primary,) = struct.unpack_from(">I" if pitm[0] else ">H", pitm, _FULL)
        references = {kind: dict[int, list[int]]() for kind in (b"dimg", b"auxl")}
        for kind, maker, made in _references(iref or bytes(_FULL)):
            if kind in references:
                references[kind].setdefault(maker, []).extend(made)
        helpers: dict[int, list[int]] = {}
        for helper, masters in references[b"auxl"].items():
            for master in masters:
                helpers.setdefault(master, []).append(helper)
        return cls(primary=primary, sizes=_sizes(iprp), parts=references[b"dimg"], helpers=helpers)

    def pixels_to_decode(self) -> int:
        """How many pixels a decoder goes through for the primary picture.

        Raises:
            PhotoError: a picture is put together from itself, or from parts of parts without end.
        """
        return self._work(self.primary, depth=0)

    def _work(self, item: int, *, depth: int) -> int:
        if depth > _DEEPEST:
            raise PhotoError("pictures within pictures")
        if item not in self._known:
            below = (*self.parts.get(item, ()), *self.helpers.get(item, ()))
            own = 0 if item in self.parts else self.sizes.get(item, 0)
            self._known[item] = own + sum(self._work(part, depth=depth + 1) for part in below)
        return self._known[item]


def boxes(content: bytes, *, lenient: bool = False) -> Iterator[Box]:
    """The boxes that follow each other in some bytes.

    Args:
        content: The bytes.
        lenient: Whether what follows the last whole box is passed over, as trailing bytes of a file are.

    Raises:
        PhotoError: one does not fit in, or there are too many.
    """
    position = number = 0
    while position + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, position)
        begin = position + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, begin)
            begin += 8
        end = position + size if size else len(content)
        if not begin <= end <= len(content):
            if lenient:
                return
            raise PhotoError("it ends early, or its boxes are damaged")
        yield kind, content[begin:end]
        position, number = end, number + 1
        if number > MOST_BOXES:
            raise PhotoError(f"more than {MOST_BOXES:,} boxes in a row")


def _one(content: bytes, kind: bytes, *, lenient: bool = False) -> bytes | None:
    """The content of the only box of a kind; readers would differ about a second one."""
    found = [inner for name, inner in boxes(content, lenient=lenient) if name == kind]
    if len(found) > 1:
        raise PhotoError(f"{len(found)} boxes of the kind {kind.decode()}, of which there is one")
    return found[0] if found else None


def _references(iref: bytes) -> Iterator[tuple[bytes, int, list[int]]]:
    """Kind, the item that refers, and those that it refers to."""
    width, number = (4, "I") if iref[0] else (2, "H")
    for kind, inner in boxes(iref[_FULL:]):
        maker, count = struct.unpack_from(f">{number}H", inner)
        yield kind, maker, list(struct.unpack_from(f">{count}{number}", inner, width + 2))


def _sizes(iprp: bytes) -> dict[int, int]:
    """Item to the number of its pixels."""
    properties = list(boxes(_one(iprp, b"ipco") or b""))
    found: dict[int, int] = {}
    for kind, inner in boxes(iprp):
        if kind != b"ipma":
            continue
        version, wide = inner[0], inner[3] & 1
        (entries,) = struct.unpack_from(">I", inner, _FULL)
        position = _FULL + 4
        for _ in range(entries):
            (item,) = struct.unpack_from(">I" if version else ">H", inner, position)
            position += 4 if version else 2
            count, position = inner[position], position + 1
            for _ in range(count):
                index = struct.unpack_from(">H", inner, position)[0] & 0x7FFF if wide else inner[position] & 0x7F
                position += 2 if wide else 1
                if 0 < index <= len(properties) and properties[index - 1][0] == b"ispe":
                    width, height = struct.unpack_from(">II", properties[index - 1][1], _FULL)
                    # Of several sizes the largest counts: which one a decoder takes is its own affair.
                    found[item] = max(found.get(item, 0), width * height)
    return found
