"""When a photograph was taken, by its EXIF: what the clock of the camera said. Loads no torch, decodes no pixels."""

import re
from datetime import datetime
from typing import Final

from PIL import ExifTags

from ml.images.exif_block import exif_tags

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
    (tags,) = exif_tags(content, ExifTags.IFD.Exif)
    for when, offset in _PAIRS:
        try:
            time = datetime.strptime(str(tags.get(when)).strip("\x00 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 (below)
        except ValueError:
            continue
        zone = str(tags.get(offset)).strip("\x00 ")
        return time.isoformat() + (zone if _OFFSET.fullmatch(zone) else "")
    return None
