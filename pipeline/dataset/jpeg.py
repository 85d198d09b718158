"""One photograph made small for training. Bytes in, bytes out; knows nothing of tables or packs."""

import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps

from ml.spec import MAGNIFIED

QUALITY = 90
"""JPEG quality of what is written."""
SLACK_PERCENT = 115
"""Up to this share of the wanted size a photograph is kept byte for byte: encoding twice costs more than it saves."""
_ORIENTATION = 0x0112
"""EXIF's tag of the orientation; 1 is upright."""


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """A JPEG for training, with its size in pixels."""

    content: bytes
    width: int
    height: int


def short_side(image_size: int) -> int:
    """The short side of packed photographs for networks that read views of `image_size` pixels.

    256 for 224 is the customary margin that leaves room for random crops; a magnified view needs as much in the part
    that it shows.
    """
    return math.ceil(image_size * 256 / 224 / MAGNIFIED)


def shrink(content: bytes, *, side: int) -> Shrunk:
    """Make the short side of a JPEG `side` pixels; never enlarge.

    Photographs that are upright, grey or YCbCr, and at most `SLACK_PERCENT` of the wanted size stay byte for byte. All
    others are turned upright, converted to RGB and written again, so that training needs no EXIF and no CMYK.

    Args:
        content: A JPEG.
        side: The wanted short side, in pixels.

    Raises:
        ValueError: the JPEG cannot be decoded.
        OSError: likewise, from Pillow.
    """
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content, strict=False)
    except KeyError as error:
        # simplejpeg looks the subsampling up in a dictionary before it knows that there is one.
        raise ValueError("the bytes have no complete JPEG header") from error
    with Image.open(io.BytesIO(content)) as header:
        orientation = int(header.getexif().get(_ORIENTATION, 1))
    plain = colours in {"YCbCr", "Gray"}
    if plain and orientation in {0, 1} and 100 * min(height, width) <= SLACK_PERCENT * side:
        return Shrunk(content=content, width=width, height=height)
    image = _decode(content, plain=plain, scale=side / min(height, width), size=(width, height))
    image = _turn(image, orientation=orientation)
    scale = side / min(image.size)
    if scale < 1:
        wanted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(wanted, Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(image)
    encoded = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB", colorsubsampling="420")
    return Shrunk(content=encoded, width=image.width, height=image.height)


def _decode(content: bytes, *, plain: bool, scale: float, size: tuple[int, int]) -> Image.Image:
    """Decode to RGB, by libjpeg's own reduction to at least twice the wanted size where that is less work."""
    if not plain:
        # libjpeg does not convert CMYK and YCCK to RGB, Pillow does.
        with Image.open(io.BytesIO(content)) as image:
            return image.convert("RGB")
    width, height = (math.ceil(2 * scale * side) if 2 * scale < 1 else side for side in size)
    pixels = simplejpeg.decode_jpeg(content, colorspace="RGB", min_height=height, min_width=width, strict=False)
    return Image.fromarray(pixels)


def _turn(image: Image.Image, *, orientation: int) -> Image.Image:
    """Apply an EXIF orientation to decoded pixels."""
    exif = image.getexif()
    exif[_ORIENTATION] = orientation
    turned = ImageOps.exif_transpose(image)
    return turned.convert("RGB")
