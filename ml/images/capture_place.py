"""Where a photograph was taken, by its EXIF: what the receiver of the camera said. Loads no torch, decodes no pixels.

Cameras without a fix write zeros, fractions without a denominator, or coordinates without saying which hemisphere: a
place that is not certain is none, since a wrong one would be believed.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from PIL import ExifTags

from ml.images.exif_block import exif_tags

_GPS: Final = ExifTags.GPS
_VOID: Final = "V"
"""The status of a receiver that measured nothing."""
_DATUMS: Final = ("", "WGS84", "WGS1984", "UNKNOWN")
"""Datums, without signs, whose coordinates are taken for WGS 84; others lie up to a kilometre away, and the EXIF of
most cameras names none."""


class CapturePlace(NamedTuple):
    """A place on the earth."""

    latitude: float
    """Degrees, WGS 84, from -90 to 90."""
    longitude: float
    """Degrees, WGS 84, from -180 to 180."""
    uncertainty_m: float | None
    """The radius in metres that the receiver gave; None: it gave none."""


def captured_where(content: bytes) -> CapturePlace | None:
    """The place; None where nothing certain is said.

    Args:
        content: The bytes of a photograph.
    """
    (tags,) = exif_tags(content, ExifTags.IFD.GPSInfo)
    datum = "".join(sign for sign in _text(tags.get(_GPS.GPSMapDatum)).upper() if sign.isalnum())
    if _text(tags.get(_GPS.GPSStatus)).upper() == _VOID or datum not in _DATUMS:
        return None
    latitude = _degrees(tags, _GPS.GPSLatitude, _GPS.GPSLatitudeRef, positive="N", negative="S", most=90)
    longitude = _degrees(tags, _GPS.GPSLongitude, _GPS.GPSLongitudeRef, positive="E", negative="W", most=180)
    if latitude is None or longitude is None or latitude == 0 == longitude:
        return None
    return CapturePlace(latitude, longitude, _metres(tags.get(_GPS.GPSHPositioningError)))


def _degrees(
    tags: Mapping[int, object], value: int, reference: int, *, positive: str, negative: str, most: float
) -> float | None:
    """One coordinate, of degrees, minutes and seconds and the letter of its hemisphere."""
    parts, letter = tags.get(value), _text(tags.get(reference)).upper()
    if not isinstance(parts, tuple | list) or len(parts) != 3 or letter not in (positive, negative):
        return None
    degrees, minutes, seconds = (_number(part) for part in parts)
    # What is negative contradicts its own letter. Writers of decimal degrees leave the other two zero.
    if degrees is None or minutes is None or seconds is None or not (0 <= minutes < 60 and 0 <= seconds < 60):
        return None
    size = degrees + minutes / 60 + seconds / 3600
    if degrees < 0 or size > most:
        return None
    return size if letter == positive else -size + 0.0


def _metres(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _number(value: object) -> float | None:
    """A rational of EXIF; None where it has no denominator, or is none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(value: object) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.strip("\x00 ")
