"""When a photograph was taken, by its EXIF: what the clock of the camera said. Loads no torch, decodes no pixels."""

import re
from datetime import datetime
from typing import Final

from PIL import ExifTags, Image

_BLOCK: Final = re.compile(rb"(?:Exif\x00\x00|eXIf|EXIF.{4})(?=II\*\x00|MM\x00\*)", re.DOTALL)
"""What stands before EXIF's TIFF in a JPEG or HEIC, in a PNG, and in a WebP."""
_LONGEST: Final = 65_536
"""Bytes of a block in a JPEG; the dates stand before its previews."""
_OFFSET: Final = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
_PAIRS: Final = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
)


def captured_at(content: bytes) -> str | None:
    """The date and time in ISO 8601, with an offset from UTC where the camera knew one; None where nothing is said.

    When the file was last changed is no such time, and damage says nothing.

    Args:
        content: The bytes of a photograph.
    """
    found = _BLOCK.search(content)
    if found is None:
        return None
    block = Image.Exif()
    try:
        block.load(content[found.end() : found.end() + _LONGEST])
        tags = block.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # noqa: BLE001 (Pillow ends in whatever a damaged block leads it to)
        return None
    for when, offset in _PAIRS:
        try:
            time = datetime.strptime(str(tags.get(when)).strip("\x00 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 (below)
        except ValueError:
            continue
        zone = str(tags.get(offset)).strip("\x00 ")
        return time.isoformat() + (zone if _OFFSET.fullmatch(zone) else "")
    return None
