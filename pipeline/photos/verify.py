"""Whether the bytes that a host sent are a whole JPEG photograph. Bytes in, verdict out; no files, no network."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import simplejpeg

JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
_MARKER: Final = 0xFF
_START_OF_SCAN: Final = 0xDA
_WINDOW: Final = 1 << 16
"""Bytes that are searched for markers at a time: larger windows leave the processor's cache."""
MOST_SCANS: Final = 500
"""A progressive JPEG of a camera has about ten; thousands keep a decoder busy for hours (libjpeg-turbo's own limit)."""

_OTHERS: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "RIFF (WebP?)"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"\x1f\x8b", "gzip"),
    (b"%PDF", "PDF"),
    (b"{", "JSON"),
    (b"<?xml", "XML"),
    (b"<", "HTML or XML"),
)
"""First bytes of what hosts send in a photograph's place."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a body is."""

    status: str
    """`ok`, `not_jpeg`, `corrupt` or `too_large`."""
    width: int | None = None
    """Pixels, before any EXIF rotation; known when the header could be read."""
    height: int | None = None
    error: str | None = None


def verify(content: bytes, *, max_pixels: int) -> Verdict:
    """Judge a body.

    The size is read from the header before anything is decoded. The whole stream is then entropy-decoded at one
    eighth of the size, with libjpeg's warnings as errors: a body that ends early or is damaged inside does not pass.
    Bytes after the end of the image are accepted, as cameras append previews and maker notes there.

    Args:
        content: The body.
        max_pixels: The largest accepted width times height.
    """
    if not content.startswith(JPEG_SIGNATURE):
        return Verdict(status="not_jpeg", error=f"the body is {_kind(content)}")
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except (ValueError, KeyError) as error:
        # simplejpeg looks up the subsampling in a table; a KeyError is its word for one that no decoder knows.
        problem = str(error) if isinstance(error, ValueError) else "unknown subsampling"
        return Verdict(status="corrupt", error=f"the header cannot be read: {problem}")
    if width * height > max_pixels:
        problem = f"{width} x {height} pixels are more than max_pixels = {max_pixels}"
        return Verdict(status="too_large", width=width, height=height, error=problem)
    if scans(content) > MOST_SCANS:
        problem = f"more than {MOST_SCANS} scans in one image"
        return Verdict(status="corrupt", width=width, height=height, error=problem)
    try:
        simplejpeg.decode_jpeg(content, colorspace="GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        return Verdict(status="corrupt", width=width, height=height, error=f"cannot be decoded: {error}")
    return Verdict(status="ok", width=width, height=height)


def scans(content: bytes) -> int:
    """How many scans begin; `bytes.count` says the same several times more slowly, and counts beside decoding."""
    data = np.frombuffer(content, np.uint8)
    found = 0
    for begin in range(0, len(data) - 1, _WINDOW):
        window = data[begin : begin + _WINDOW + 1]
        found += int(np.count_nonzero((window[:-1] == _MARKER) & (window[1:] == _START_OF_SCAN)))
    return found


def _kind(content: bytes) -> str:
    """What a body that is no JPEG looks like, for people."""
    start = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        return "empty" if not content else "blank"
    return next((name for signature, name in _OTHERS if start.startswith(signature)), "of an unknown kind")
