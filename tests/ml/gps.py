"""Photographs that say where they were taken, as cameras write it."""

import io
from typing import Any, Final

import pillow_heif
from PIL import ExifTags, Image

WELLINGTON: Final[dict[str, Any]] = {
    "GPSLatitudeRef": "S", "GPSLatitude": (41.0, 17.0, 42.0),
    "GPSLongitudeRef": "E", "GPSLongitude": (174.0, 46.0, 30.0),
}  # fmt: skip
"""EXIF's tags of -41.295, 174.775."""


def placed(form: str = "JPEG", *, when: str | None = None, **changed: Any) -> bytes:  # noqa: ANN401 (what tags hold)
    """A photograph taken in Wellington, with some tags of its place changed, or left out where they are None.

    Args:
        form: JPEG, PNG, WebP or HEIC.
        when: EXIF's date and time, `2026:11:02 06:07:08`; None: it says none.
        changed: By the names of `PIL.ExifTags.GPS`.
    """
    exif, stream = Image.Exif(), io.BytesIO()
    tags = exif.get_ifd(ExifTags.IFD.GPSInfo)
    for name, value in (WELLINGTON | changed).items():
        if value is not None:
            tags[ExifTags.GPS[name]] = value
    if when is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = when
    image = Image.new("RGB", (64, 64), "green")
    if form == "HEIC":
        pillow_heif.from_pillow(image).save(stream, exif=exif.tobytes(), quality=50)
    else:
        image.save(stream, form, exif=exif.tobytes())
    return stream.getvalue()
