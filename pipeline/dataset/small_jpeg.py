"""One photograph made small for training. Bytes in, bytes out; knows nothing of tables or packs."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from ml.images.jpeg import Jpeg
from ml.spec import MAGNIFIED

QUALITY = 90
"""JPEG quality of what is written."""
SLACK_PERCENT = 115
"""Up to this share of the wanted size a photograph is kept byte for byte: encoding twice costs more than it saves."""
SMALLEST_CROP = 0.1
"""Share of the area that a random crop shows at least (`min_object_covered` of TF-slim)."""
_INKS = 4
"""Components of a JPEG for print, CMYK or YCCK."""


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """A JPEG for training, with its size in pixels."""

    content: bytes
    width: int
    height: int


def short_side(image_size: int) -> int:
    """The short side of packed photographs for networks that read views of `image_size` pixels: what they can show.

    Random crops show at least `SMALLEST_CROP` of the area; of the sides of one as wide as it is high, a magnified view
    shows `MAGNIFIED`, and then has a pixel for each that it is resized to.
    """
    return math.ceil(image_size / MAGNIFIED / math.sqrt(SMALLEST_CROP))


def whole_view_side(image_size: int) -> int:
    """The short side that the customary margin for random crops (256 for 224) asks for, in a magnified view too.

    At this size the magnified view of most random crops is enlarged.
    """
    return math.ceil(image_size * 256 / 224 / MAGNIFIED)


def shrink(content: bytes, *, side: int) -> Shrunk:
    """Make the short side of a JPEG `side` pixels; never enlarge.

    Photographs that are upright, not CMYK, and at most `SLACK_PERCENT` of the wanted size stay byte for byte. All
    others are turned upright, converted to RGB and written again, so that training needs no EXIF and no CMYK.

    Args:
        content: A JPEG.
        side: The wanted short side, in pixels.

    Raises:
        PhotoError: the JPEG is not whole; the reader is the one that judged it when it was fetched.
    """
    photo = Jpeg.read(content)
    width, height = photo.width, photo.height
    scale = side / min(width, height)
    if photo.components != _INKS and photo.orientation == 1 and 100 * min(height, width) <= SLACK_PERCENT * side:
        return Shrunk(content=content, width=width, height=height)
    # libjpeg's own reduction, to at least twice the wanted size, where that is less work.
    least_width, least_height = (math.ceil(2 * scale * length) if 2 * scale < 1 else 0 for length in (width, height))
    image = Image.fromarray(photo.upright(least_width=least_width, least_height=least_height))
    scale = side / min(image.size)
    if scale < 1:
        wanted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(wanted, Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(image)
    encoded = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB", colorsubsampling="420")
    return Shrunk(content=encoded, width=image.width, height=image.height)
