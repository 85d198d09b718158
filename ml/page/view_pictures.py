"""What a network sees of a photograph, as pictures for people."""

import base64
from typing import Any, Final

from PIL import Image

from ml.images.photograph import upright_pixels
from ml.images.views import resize
from ml.networks.description import NetworkSpec
from ml.networks.inference import seen_boxes
from ml.page.photo_examples import jpeg_of
from ml.serving.question import Region

PREVIEW_SIDE: Final = 1600
"""Longest side of the photograph as it is shown, in pixels."""


def view_pictures(content: bytes, *, spec: NetworkSpec, region: Region | None, max_pixels: int) -> dict[str, Any]:
    """A photograph and the parts of it that a network gets.

    Args:
        content: The photograph's file.
        spec: The network's description.
        region: Where the organism is, if a person has said so.
        max_pixels: Of a photograph that is decoded.

    Returns:
        width and height of the upright photograph in pixels; `views`, each with its `box` (left, upper, right and lower
        edge as fractions of the photograph), `mirrored` and `image`; `photo`. Pictures are data addresses of JPEGs:
        browsers cannot show every photograph that is read here.

    Raises:
        PhotoError: the photograph cannot be decoded.
    """
    pixels = upright_pixels(content, max_pixels=max_pixels)
    height, width = pixels.shape[:2]
    boxes = seen_boxes(spec, region=region)
    parts = resize(pixels, boxes=boxes, image_size=spec.image_size)
    views = [
        {
            "box": [min(left, right), upper, max(left, right), lower],
            "mirrored": left > right,
            "image": _address(Image.fromarray(part), side=spec.image_size, quality=92),
        }
        for part, (left, upper, right, lower) in zip(parts, boxes, strict=True)
    ]
    photo = _address(Image.fromarray(pixels), side=PREVIEW_SIDE, quality=85)
    return {"width": width, "height": height, "views": views, "photo": photo}


def _address(image: Image.Image, *, side: int, quality: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_of(image, side=side, quality=quality)).decode("ascii")
