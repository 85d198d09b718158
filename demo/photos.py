"""The photo host: iNaturalist's size variants of a source's photographs."""

import io
import math
import struct
import wave
from typing import Final

from demo.records import Source

LONG_SIDES: Final = {"original": 2048, "large": 1024, "medium": 500}
"""The longest side of each variant, in pixels."""
TYPES: Final = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png"}


def variant(source: Source, *, photo_id: str, size: str, extension: str) -> bytes | None:
    """One variant of a photograph; the original's own bytes where it is small enough.

    Args:
        source: Where the photograph is from.
        photo_id: Which one.
        size: A key of `LONG_SIDES`.
        extension: A key of `TYPES`.

    Returns:
        The file, or None when there is no such photograph.
    """
    # Pillow is not needed to start, and starting is waited for.
    from PIL import Image  # noqa: PLC0415

    original = source.original(photo_id)
    if original is None:
        return None
    with Image.open(io.BytesIO(original)) as image:
        longest = LONG_SIDES[size]
        if extension != "png" and max(image.size) <= longest:
            return original
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        if extension == "png":
            image.convert("RGB").save(buffer, "PNG", compress_level=1)
        else:
            image.convert("RGB").save(buffer, "JPEG", quality=87)
        return buffer.getvalue()


def sound(seconds: float = 0.3) -> bytes:
    """A recording as iNaturalist has them beside photographs: a short WAV of one tone."""
    rate = 8000
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        samples = (int(8000 * math.sin(2 * math.pi * 880 * index / rate)) for index in range(int(rate * seconds)))
        stream.writeframes(b"".join(struct.pack("<h", value) for value in samples))
    return buffer.getvalue()
