"""A photograph from outside: the bytes of any file to upright RGB pixels, or the reason why not.

The served model and the command line read photographs here; training reads its own pack through `ml.images.loader`.
JPEGs are decoded by the reader that also decides what is fetched (`ml.images.jpeg`). Loads no torch.
"""

import io
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
from ml.images.formats import kind_of
from ml.images.jpeg import Jpeg
from ml.images.orientation import orientation, turned

MAX_PIXELS: Final = 100_000_000
"""Beyond it a file is taken for a decompression bomb."""

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
FORMATS: Final = ("JPEG", *_READERS)
"""What is read here; Pillow can be built without the libraries of some."""


def upright_pixels(content: bytes, *, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Decode a photograph as people see it.

    Accepted, by content and never by name: JPEG (with CMYK, grey, MPO and anything after its end), PNG, WebP and AVIF;
    of several pictures in one file the first. Rotation by EXIF, else by XMP, is applied, and a damaged block of either
    counts as none; CMYK, greyscale and 16 bits become RGB; what is transparent becomes white; colour profiles are
    ignored, as in training.

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
    if kind not in _READERS:
        raise PhotoError(f"not a photograph in one of the formats {', '.join(FORMATS)}: the file is {kind}")
    if kind == "AVIF":
        # Its container says how to turn it, and EXIF does not count; Pillow reads both, and fails at damaged EXIF.
        content = content.replace(b"Exif", b"free")
    try:
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
        raise PhotoError(f"a damaged photograph: {str(error) or type(error).__name__}") from error
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


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit values at 255 instead of scaling them.
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image.convert("RGBA"))
        return canvas.convert("RGB")
    return image.convert("RGB")
