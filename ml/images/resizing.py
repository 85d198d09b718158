"""Pixels at another size: bilinear with antialiasing, and the four methods among which TF-slim draws.

Source: `tf.image.resize_images` of TensorFlow 1, which TF-slim's `preprocess_for_train` calls with a random method.
"""

from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Method = Literal["antialias", "bilinear", "nearest", "bicubic", "area"]
"""`antialias` is bilinear with antialiasing; the others are TensorFlow's, without."""

TF_SLIM: Final[tuple[Method, ...]] = ("bilinear", "nearest", "bicubic", "area")
"""TensorFlow's methods in the order of its `ResizeMethod`."""


def resized(pixels: NDArray[np.uint8], *, size: int, method: Method) -> NDArray[np.uint8]:
    """RGB pixels (H, W, 3) at `size` x `size`, by one of the methods.

    `nearest` and `area` are TensorFlow's. `bilinear` and `bicubic` have its weights (for the latter Keys' cubic with
    a = -0.75), on another grid: TensorFlow 1 takes output pixel i from input i * scale, which shifts pictures to the
    lower right by half an output pixel less half an input pixel. Here the centres of both grids agree, as in
    TensorFlow 2: all views of a photograph stay concentric, and a mirrored picture is the mirror image. TensorFlow
    resizes numbers, and cuts off what bicubic overshoots at the very end; here the result is rounded to bytes, and cut
    off at 0 and 255, after each axis.

    Args:
        pixels: May be a part of an array.
        size: Width and height of the result; the aspect ratio is not kept.
        method: How.
    """
    if method == "nearest":
        return _nearest(pixels, size=size)
    if method == "area":
        return _area(pixels, size=size)
    mode, antialias = ("bicubic", False) if method == "bicubic" else ("bilinear", method == "antialias")
    # Strides of bytes as they are decoded: what torch's vectorised kernel for bytes works on without repacking.
    image = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    seen = functional.interpolate(image, size=(size, size), mode=mode, antialias=antialias)
    found: NDArray[np.uint8] = seen[0].permute(1, 2, 0).numpy()
    return found


def _nearest(pixels: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """The pixel at i * scale, rounded down."""
    rows, columns = (np.arange(size) * length // size for length in pixels.shape[:2])
    found: NDArray[np.uint8] = pixels[rows].take(columns, axis=1)
    return found


def _area(pixels: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """The mean over the part of the photograph that a pixel covers; at its edges pixels count by their covered share.

    torch's `area` counts every touched pixel in full, which blurs.
    """
    height, width = pixels.shape[:2]
    rows = torch.mm(_shares(height, size), torch.from_numpy(np.ascontiguousarray(pixels)).view(height, -1).float())
    turned = rows.view(size, width, 3).transpose(0, 1).reshape(width, -1)
    means = torch.mm(_shares(width, size), turned).view(size, size, 3).transpose(0, 1)
    found: NDArray[np.uint8] = means.round_().clamp_(0, 255).to(torch.uint8).numpy()
    return found


def _shares(length: int, size: int) -> Tensor:
    """Which share each of `length` pixels has in each of `size`, as a sparse matrix (size, length)."""
    edges = np.arange(size + 1) * (length / size)
    first = np.floor(edges[:-1])
    touched = first[:, None] + np.arange(int(np.ceil(length / size)) + 1)
    inside = np.minimum(touched + 1, edges[1:, None]) - np.maximum(touched, edges[:-1, None])
    shares = (inside.clip(0, 1) * (size / length)).astype(np.float32)
    # Beyond the last pixel the share is none.
    places = np.stack([np.repeat(np.arange(size), touched.shape[1]), np.minimum(touched, length - 1).ravel()])
    return torch.sparse_coo_tensor(
        torch.from_numpy(places.astype(np.int64)), torch.from_numpy(shares.ravel()), (size, length),
        check_invariants=False,
    ).coalesce()  # fmt: skip
