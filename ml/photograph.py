"""One photograph from outside: bytes of a JPEG, PNG or WebP to upright RGB pixels, or the reason why not.

The served model and the command line take anybody's files; training reads its own pack through `ml.data`.
"""

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from ml.errors import PhotoError

FORMATS: Final = ("JPEG", "PNG", "WEBP")
MAX_PIXELS: Final = 100_000_000
"""Beyond it a file is taken for a decompression bomb."""


def upright_pixels(content: bytes, *, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Decode a photograph; EXIF rotation is applied, CMYK, greyscale, 16 bits and transparency become RGB.

    Args:
        content: The file's bytes.
        max_pixels: Refuse larger pictures before decoding them.

    Returns:
        RGB pixels (H, W, 3).

    Raises:
        PhotoError: not a whole photograph in one of `FORMATS`, or too large.
    """
    if not content:
        raise PhotoError("the file is empty")
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise PhotoError(f"{width} x {height} pixels are more than the {max_pixels:,} that are decoded")
        image.load()
    except UnidentifiedImageError as error:
        raise PhotoError(f"not a photograph in one of the formats {', '.join(FORMATS)}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PhotoError(f"a damaged photograph: {error}") from error
    # A copy: torch may not be given memory that it must not write to.
    return np.array(_as_rgb(ImageOps.exif_transpose(image)))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit values at 255 instead of scaling them.
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image.convert("RGBA"))
        return canvas.convert("RGB")
    return image.convert("RGB")
