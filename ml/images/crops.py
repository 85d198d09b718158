"""The random crop of TF-slim: TensorFlow's `sample_distorted_bounding_box` with the whole photograph as its box.

Source: GenerateRandomCrop and SampleDistortedBoundingBox in TensorFlow's
`core/kernels/image/sample_distorted_bounding_box_op.cc`, as `distorted_bounding_box_crop` of TF-slim's
`inception_preprocessing.py` calls it.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

ATTEMPTS: Final = 100
"""How often a crop is drawn before the whole photograph is taken (`max_attempts`)."""
DRAWS: Final = 4
"""Uniform numbers of one attempt: aspect ratio, height, upper edge, left edge."""

Pixels = tuple[int, int, int, int]
"""Left, upper, right and lower edge in whole pixels."""


def random_crop(
    draws: NDArray[np.float64],
    *,
    width: int,
    height: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
    covered: float,
) -> Pixels:
    """A random part of a photograph of `width` x `height` pixels.

    The aspect ratio is uniform. Of all whole heights that fit into the photograph, and whose area with this aspect
    ratio lies within `area`, each is as likely: so areas are not uniform, small ones are more frequent. Places are
    uniform; as in the operator, the last row and the last column are reached by crops of full height and width only.

    Args:
        draws: (attempts, 4) uniform numbers in [0, 1): aspect ratio, height, upper edge and left edge of each attempt.
        width: Of the photograph, in pixels.
        height: Of the photograph, in pixels.
        area: Least and largest share of the photograph's area (`area_range`).
        aspect: Least and largest width by height in pixels (`aspect_ratio_range`).
        covered: Least share of the photograph that the crop shows (`min_object_covered`): attempts with less fail.

    Returns:
        The first attempt that succeeds; where none does, the whole photograph.
    """
    least, most = (share * width * height for share in area)
    for first, second, third, fourth in draws.tolist():
        ratio = aspect[0] + (aspect[1] - aspect[0]) * first
        size = _size(ratio, second, width=width, height=height, least=least, most=most)
        if size is not None and size[0] * size[1] >= covered * width * height:
            left, upper = int(fourth * (width - size[0])), int(third * (height - size[1]))
            return left, upper, left + size[0], upper + size[1]
    return 0, 0, width, height


def _size(ratio: float, draw: float, *, width: int, height: int, least: float, most: float) -> tuple[int, int] | None:
    """Width and height of a crop of the aspect ratio `ratio`; None where no such crop has the wanted area."""
    lowest, highest = round(math.sqrt(least / ratio)), round(math.sqrt(most / ratio))
    if round(highest * ratio) > width:
        # The largest height whose width, rounded, still fits.
        highest = int((width + 0.5 - 1e-7) / ratio)
        highest -= round(highest * ratio) > width
    highest = min(highest, height)
    lowest = min(lowest, highest)
    tall = lowest + int(draw * (highest - lowest + 1))
    # Rounding alone must not make a crop too small or too large.
    if round(tall * ratio) * tall < least:
        tall += 1
    if round(tall * ratio) * tall > most:
        tall -= 1
    wide = round(tall * ratio)
    fits = 0 < wide <= width and 0 < tall <= height and least <= wide * tall <= most
    return (wide, tall) if fits else None
