"""Each way of resizing by the formula of its source, number by number."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.images.resizing import TF_SLIM, resized

Numbers = NDArray[np.float64]
SIZES = [(30, 47), (64, 96), (17, 200), (9, 5), (1, 1), (32, 32)]


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng((height, width)).integers(0, 256, (height, width, 3), dtype=np.uint8)


def area(length: int, size: int) -> Numbers:
    """`resize_area_op.cc`: from v = floor(in_x) to ceil(in_x1), each pixel by the share of it that is covered."""
    weights, scale = np.zeros((size, length)), length / size
    for x in range(size):
        in_x, in_x1 = x * scale, (x + 1) * scale
        for v in range(math.floor(in_x), math.ceil(in_x1 - 1e-9)):
            share = min(v + 1, in_x1) - max(v, in_x)
            weights[x, min(v, length - 1)] += share / scale
    return weights


def keys(distance: float) -> float:
    """`InitCoeffsTable(a = -0.75)` of `resize_bicubic_op.cc`."""
    x, a = abs(distance), -0.75
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


def interpolation(length: int, size: int, *, cubic: bool) -> Numbers:
    """Two or four neighbours of each output pixel's centre; beyond the edge the last pixel counts again."""
    weights = np.zeros((size, length))
    for x in range(size):
        centre = (x + 0.5) * length / size - 0.5
        for v in range(math.floor(centre) - 1, math.floor(centre) + 3):
            share = keys(centre - v) if cubic else max(0.0, 1 - abs(centre - v))
            weights[x, min(max(v, 0), length - 1)] += share
    return weights


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "area"])
def test_by_tensorflows_weights(height: int, width: int, method: str) -> None:
    # Of low contrast: what bicubic overshoots is not cut off.
    pixels, size = 80 + picture(height, width) // 3, 24
    rows, columns = (
        area(length, size) if method == "area" else interpolation(length, size, cubic=method == "bicubic")
        for length in (height, width)
    )
    expected = np.einsum("ij,kl,jlc->ikc", rows, columns, pixels.astype(float))
    found = resized(pixels, size=size, method=method)  # type: ignore[arg-type]  # one of the names above
    # torch interpolates bytes axis by axis, and rounds in between.
    assert np.abs(found - expected).max() <= (0.51 if method == "area" else 1.6)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_nearest_takes_the_pixel_at_the_upper_left(height: int, width: int) -> None:
    pixels, found = picture(height, width), resized(picture(height, width), size=24, method="nearest")
    for y in range(24):
        for x in range(24):
            assert (found[y, x] == pixels[math.floor(y * height / 24), math.floor(x * width / 24)]).all()


@given(height=st.integers(1, 80), width=st.integers(1, 80), value=st.integers(0, 255), method=st.sampled_from(TF_SLIM))
def test_what_has_one_colour_keeps_it(height: int, width: int, value: int, method: str) -> None:
    flat = np.full((height, width, 3), value, dtype=np.uint8)
    assert (resized(flat, size=16, method=method) == value).all()  # type: ignore[arg-type]  # one of TF_SLIM


def test_a_part_of_a_photograph_is_resized_as_if_it_were_alone() -> None:
    pixels = picture(60, 80)
    for method in (*TF_SLIM, "antialias"):
        part, alone = pixels[7:50, 11:70], np.ascontiguousarray(pixels[7:50, 11:70])
        assert np.array_equal(resized(part, size=20, method=method), resized(alone, size=20, method=method))
