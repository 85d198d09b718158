"""A photograph from outside: the bytes of any file to upright RGB pixels, or the reason why not.

The served model and the command line read photographs here; training reads its own pack through `ml.images.loader`.
JPEGs are decoded by the reader that also decides what is fetched (`ml.images.jpeg`). Loads no torch.
"""

import io
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ml.errors import PhotoError
from ml.images import heic
from ml.images.formats import kind_of
from ml.images.jpeg import Jpeg
from ml.images.orientation import orientation, turned

MAX_PIXELS: Final = 100_000_000
"""Beyond it a file is taken for a decompression bomb.

Decoding takes 3 bytes of memory per pixel (JPEG) to 25 (WebP with transparency). An AVIF whose stream is larger than
its container says is bounded by libavif alone, to 268 million pixels of the stream.
"""

MOST_CHUNKS: Final = 100_000
"""Of a PNG. Programs write the pixels in pieces of 8 kilobytes or more."""

_READERS: Final[dict[str, Callable[[io.BytesIO], ImageFile]]] = {
    kind: reader
    for kind, reader, library in (
        ("PNG", PngImageFile, "zlib"),
        ("WebP", WebPImageFile, "webp"),
        ("AVIF", AvifImageFile, "avif"),
    )
    if features.check(library)
}
"""Pillow's readers by format, without `Image.open`: its own limit is enforced before the size is known."""
_EXIF_ITEM: Final = re.compile(rb"(infe[\x02\x03].{3}(?:..|.{4})..)Exif", re.DOTALL)
"""Where a container lists its EXIF block: `infe` with version, flags, number, protection and kind."""
FORMATS: Final = ("JPEG", *_READERS, *(("HEIC",) if heic.READABLE else ()))
"""What is read here; Pillow can be built without the libraries of some."""


def upright_pixels(content: bytes, *, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Decode a photograph as people see it.

    Accepted, by content and never by name: JPEG (with CMYK, grey, MPO and anything after its end), PNG, WebP, AVIF and
    HEIC; of several pictures in one file the first, of a HEIC the primary one. Rotation by EXIF, else by XMP, is
    applied, and a damaged block of either counts as none; in AVIF and HEIC the container alone says how to turn.
    CMYK, greyscale and more than 8 bits become RGB; what is transparent becomes white; colour profiles are ignored, as
    in training. Memory is bounded by `max_pixels`: the size is known, and refused, before pixels are decoded.

    Args:
        content: The file's bytes.
        max_pixels: Refuse larger pictures before decoding them.

    Returns:
        RGB pixels (H, W, 3), which may be written to.

    Raises:
        PhotoError: not a whole photograph in one of `FORMATS`, or too large; one sentence says which.
    """
    kind = kind_of(content)
    if kind == "empty":
        raise PhotoError("the file is empty")
    if kind == "JPEG":
        return _of_jpeg(content, max_pixels=max_pixels)
    if kind not in FORMATS:
        raise PhotoError(f"not a photograph in one of the formats {', '.join(FORMATS)}: the file is {kind}")
    if kind == "AVIF":
        # Its container says how to turn it, and EXIF does not count; Pillow reads both, and fails at damaged EXIF.
        content = _EXIF_ITEM.sub(rb"\1free", content)
    try:
        if kind == "HEIC":
            return _of_heic(content, max_pixels=max_pixels)
        if kind == "PNG":
            _check_chunks(content)
        with _READERS[kind](io.BytesIO(content)) as image:
            _check_size(*image.size, max_pixels=max_pixels)
            image.load()
            pixels = np.asarray(_as_rgb(image))
            exif, xmp = _notes(image.info)
    except (PhotoError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        # Pillow's own limit, above which a WebP is not even opened.
        raise PhotoError(f"more pixels than the {max_pixels:,} that are decoded") from error
    except Exception as error:
        # Pillow's readers end in whatever damaged bytes lead them to, from struct.error to IndexError.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhotoError(f"a damaged photograph: {reason}") from error
    return np.array(turned(pixels, orientation(exif=exif, xmp=xmp)), order="C")


def _of_jpeg(content: bytes, *, max_pixels: int) -> npt.NDArray[np.uint8]:
    try:
        photo = Jpeg.read(content)
    except PhotoError as error:
        raise PhotoError(f"a damaged photograph: {error}") from error
    _check_size(photo.width, photo.height, max_pixels=max_pixels)
    try:
        return np.ascontiguousarray(photo.upright())
    except PhotoError as error:
        raise PhotoError(f"a damaged photograph: {error}") from error


def _of_heic(content: bytes, *, max_pixels: int) -> npt.NDArray[np.uint8]:
    try:
        photo = heic.Heic(content)
    except PhotoError as error:
        raise PhotoError(f"a damaged photograph: {error}") from error
    _check_size(photo.width, photo.height, max_pixels=max_pixels)
    if photo.work > max(heic.MOST_WORK * max_pixels, heic.LITTLE_WORK):
        raise PhotoError(f"its tiles have {photo.work:,} pixels, more than the {max_pixels:,} that are decoded")
    return np.array(_as_rgb(photo.image()), order="C")


def _notes(info: dict[Any, Any]) -> tuple[bytes | None, bytes | None]:
    """The blocks of EXIF and of XMP that Pillow has found."""
    exif, xmp = info.get("exif"), info.get("xmp")
    raw = info.get("Raw profile type exif")
    if exif is None and isinstance(raw, str):
        # ImageMagick writes it into a PNG as text: an empty line, the name, the length, then the bytes.
        try:
            exif = bytes.fromhex("".join(raw.split("\n")[3:]))
        except ValueError:
            exif = None
    return exif if isinstance(exif, bytes) else None, xmp if isinstance(xmp, bytes) else None


def _check_size(width: int, height: int, *, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PhotoError(f"{width} x {height} pixels are more than the {max_pixels:,} that are decoded")


def _check_chunks(content: bytes) -> None:
    """Refuse a PNG of millions of empty chunks, each of which keeps its reader busy."""
    position, chunks = 8, 0
    while position < len(content):
        position += 12 + int.from_bytes(content[position : position + 4])
        chunks += 1
        if chunks > MOST_CHUNKS:
            raise PhotoError(f"a damaged photograph: more than {MOST_CHUNKS:,} chunks in one PNG")


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit values at 255 instead of scaling them.
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image if image.mode == "RGBA" else image.convert("RGBA"))
        return canvas.convert("RGB")
    return image.convert("RGB")
