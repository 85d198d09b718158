"""What a network sees of a photograph: parts cut out at several magnifications, resized and standardised.

Source: paper section 3.1 for the views, TF-slim's `preprocess_for_eval` for the central crop and the bilinear resizing,
which is antialiased here (`ml.images.resizing`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ml.devices import constant
from ml.errors import PhotoError
from ml.images.jpeg import Jpeg
from ml.images.resizing import Method, resized

EVALUATION_CROP = 0.875
"""Share of each side that evaluation sees, around the centre (TF-slim `preprocess_for_eval`)."""

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge as fractions of width and height; left beyond right shows the part mirrored."""

CENTRE: Box = (
    (1 - EVALUATION_CROP) / 2,
    (1 - EVALUATION_CROP) / 2,
    (1 + EVALUATION_CROP) / 2,
    (1 + EVALUATION_CROP) / 2,
)


def view_boxes(box: Box, *, views: Sequence[float]) -> list[Box]:
    """For each view its part of the photograph: the share `views` of each side of `box`, around its centre.

    Source: paper section 3.1, "both at the same resolution but at different magnification scales".
    """
    left, upper, right, lower = box
    across, down = (left + right) / 2, (upper + lower) / 2
    return [
        (across - share * (right - left) / 2, down - share * (lower - upper) / 2,
         across + share * (right - left) / 2, down + share * (lower - upper) / 2)
        for share in views
    ]  # fmt: skip


def region_boxes(region: Box, *, views: Sequence[float]) -> list[Box]:
    """The views when the region of interest is known: the most magnified view shows just the region.

    Views between it and the whole show the region with more around it. Source: paper section 3.1 ("the user could be
    asked to specify a bounding box for the region of interest").

    Raises:
        ValueError: the region is not a part of the photograph.
    """
    left, upper, right, lower = region
    if not (0 <= left < right <= 1 and 0 <= upper < lower <= 1):
        raise ValueError(
            f"a region of interest is left, upper, right, lower as fractions of the photograph, not {region}"
        )
    if len(views) == 1:
        return [region]
    grown = view_boxes(region, views=[share / min(views) for share in views[1:]])
    inside = [(max(0.0, box[0]), max(0.0, box[1]), min(1.0, box[2]), min(1.0, box[3])) for box in grown]
    # The region itself is not computed from its centre: of the thinnest ones nothing would be left.
    return [CENTRE, *(region if share == min(views) else box for share, box in zip(views[1:], inside, strict=True))]


def decode(jpeg: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG to its full size.

    The pixels of a part depend on that part alone, so that a network sees the same whole view with and without a
    magnified one, and a served model cuts photographs in the same way. Decoding to a fraction would save little:
    photographs are packed at the size that a magnified view needs, and libjpeg-turbo takes as long for most fractions.

    Args:
        jpeg: The file's bytes.

    Returns:
        RGB pixels (H, W, 3).

    Raises:
        PhotoError: the bytes are not a whole JPEG.
    """
    try:
        return Jpeg.read(jpeg).rgb()
    except PhotoError as error:
        raise PhotoError(f"not a readable JPEG: {error}") from error


def resize(
    pixels: NDArray[np.uint8],
    *,
    boxes: Sequence[Box],
    image_size: int,
    method: Method = "antialias",
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """The parts `boxes` of a photograph, each at `image_size` x `image_size`; the aspect ratio is not kept.

    Edges are those of the nearest whole pixels, as in TF-slim, whose random crops are whole pixels too.

    Args:
        pixels: RGB (H, W, 3).
        boxes: The wanted parts, as fractions.
        image_size: Side of the result, in pixels.
        method: How they are resized.
        out: Where to write the result, if it is not to be a new array.

    Returns:
        RGB pixels (boxes, image_size, image_size, 3).
    """
    height, width = pixels.shape[:2]
    parts = np.empty((len(boxes), image_size, image_size, 3), dtype=np.uint8) if out is None else out
    for part, (left, upper, right, lower) in zip(parts, boxes, strict=True):
        columns, rows = _span(left, right, of=width), _span(upper, lower, of=height)
        seen = resized(pixels[rows, columns], size=image_size, method=method)
        part[:] = seen[:, ::-1] if left > right else seen
    return parts


def _span(begin: float, end: float, *, of: int) -> slice:
    """The whole pixels between two edges in either order, at least one."""
    low, high = sorted((begin, end))
    first = min(round(low * of), of - 1)
    return slice(max(0, first), max(first + 1, round(high * of)))


def standardise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Pixels (..., 3, H, W) in [0, 1], minus `mean`, divided by `std`, in place."""
    shift, scale = (constant(tuple(numbers), pixels.device).view(3, 1, 1) for numbers in (mean, std))
    return pixels.sub_(shift).div_(scale)
