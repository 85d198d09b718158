"""Which way up a photograph is according to its file, and turning it. Nothing that a file says is an error."""

import re
import struct
from typing import Final

import numpy as np
import numpy.typing as npt

UPRIGHT: Final = 1
_TAG: Final = 0x0112
_FROM_RIGHT: Final = frozenset({2, 3, 7, 8})
_FROM_BELOW: Final = frozenset({3, 4, 6, 7})
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})
_BYTE_ORDERS: Final = {b"II*\x00": "<", b"MM\x00*": ">"}
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
"""The integers among TIFF's types, as `struct` names them: programs write the orientation in every one of them."""
_XMP: Final = re.compile(rb"""tiff:Orientation(?:=["']|>)([1-8])""")


def orientation(*, exif: bytes | None, xmp: bytes | None) -> int:
    """The orientation, 1 to 8: from EXIF, else from XMP, else 1, which is upright.

    A block that is damaged, and a number that is no orientation, say nothing.

    Args:
        exif: The EXIF block, with or without the leading `Exif` and two zero bytes.
        xmp: The XMP packet.
    """
    found = _of_exif((exif or b"").removeprefix(b"Exif\x00\x00"))
    if found in range(1, 9):
        return found
    match = _XMP.search(xmp or b"")
    return int(match[1]) if match else UPRIGHT


def turned(pixels: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Pixels (H, W, channels) as they are to be seen: a view where nothing needs to be moved."""
    if orientation in _FROM_RIGHT:
        pixels = pixels[:, ::-1]
    if orientation in _FROM_BELOW:
        pixels = pixels[::-1]
    return pixels.swapaxes(0, 1) if orientation in _SIDEWAYS else pixels


def _of_exif(tiff: bytes) -> int:
    """The tag's number in the first directory; 0 where there is none."""
    order = _BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return 0
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", tiff, entry)
            if tag == _TAG and kind in _INTEGERS and values:
                number = order + _INTEGERS[kind]
                place = entry + 8
                if values * struct.calcsize(number) > 4:
                    # The entry holds the offset of a value that does not fit into it.
                    (place,) = struct.unpack_from(f"{order}I", tiff, place)
                return int(struct.unpack_from(number, tiff, place)[0])
    except struct.error:
        # An offset leads out of the block.
        return 0
    return 0
