"""The EXIF of a photograph, in whatever file it is. Loads no torch, decodes no pixels."""

import re
from typing import Final

from PIL import Image

_BLOCK: Final = re.compile(rb"(?:Exif\x00\x00|eXIf|EXIF.{4})(?=II\*\x00|MM\x00\*)", re.DOTALL)
"""What stands before EXIF's TIFF in a JPEG or HEIC, in a PNG, and in a WebP."""
_LONGEST: Final = 65_536
"""Bytes of a block in a JPEG; dates and places stand before its previews."""


def exif_tags(content: bytes, *groups: int) -> list[dict[int, object]]:
    """Groups of tags of a photograph's EXIF; each is empty where there are none, or they are damaged.

    Args:
        content: The bytes of a photograph.
        groups: Of `PIL.ExifTags.IFD`.
    """
    found = _BLOCK.search(content)
    if found is None:
        return [{} for _ in groups]
    block = Image.Exif()
    try:
        block.load(content[found.end() : found.end() + _LONGEST])
    except Exception:  # noqa: BLE001 (Pillow ends in whatever a damaged block leads it to)
        return [{} for _ in groups]
    return [_group(block, group) for group in groups]


def _group(block: Image.Exif, group: int) -> dict[int, object]:
    try:
        return dict(block.get_ifd(group))
    except Exception:  # noqa: BLE001 (as above)
        return {}
