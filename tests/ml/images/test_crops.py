"""TF-slim's random crop: the operator's law, transcribed line by line, and what follows from it."""

import math
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.images.augmentation import Augmentation, RandomChanges
from ml.images.crops import ATTEMPTS, DRAWS, random_crop


class Ranges(TypedDict):
    area: tuple[float, float]
    aspect: tuple[float, float]
    covered: float


SLIM = Ranges(area=(0.05, 1.0), aspect=(0.75, 1.33), covered=0.1)
sides = st.integers(1, 2048)


def operator(
    draws: NDArray[np.float64],
    *,
    width: int,
    height: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
    covered: float,
) -> tuple[int, int, int, int]:
    """SampleDistortedBoundingBox with the whole image as its box, as TensorFlow's C++ has it, draws in its order."""
    for attempt in draws:
        uniform = iter(attempt.tolist())
        aspect_ratio = next(uniform) * (aspect[1] - aspect[0]) + aspect[0]
        crop = generate_random_crop(width, height, area[0], area[1], aspect_ratio, uniform)
        if crop is None:
            continue
        min_x, min_y, max_x, max_y = crop
        crop_area = (max_x - min_x) * (max_y - min_y)
        if crop_area >= 1 and crop_area / (width * height) >= covered:
            return crop
    return 0, 0, width, height


def lrint(value: float) -> int:
    """To the nearest, halves to even."""
    return int(np.rint(value))


def generate_random_crop(
    original_width: int,
    original_height: int,
    min_relative_crop_area: float,
    max_relative_crop_area: float,
    aspect_ratio: float,
    random: Iterator[float],
) -> tuple[int, int, int, int] | None:
    min_area = min_relative_crop_area * original_width * original_height
    max_area = max_relative_crop_area * original_width * original_height
    height = lrint(math.sqrt(min_area / aspect_ratio))
    max_height = lrint(math.sqrt(max_area / aspect_ratio))
    if lrint(max_height * aspect_ratio) > original_width:
        max_height = int((original_width + 0.5 - 0.0000001) / aspect_ratio)
        if lrint(max_height * aspect_ratio) > original_width:
            max_height -= 1
    max_height = min(max_height, original_height)
    height = min(height, max_height)
    draw = next(random)
    if height < max_height:
        height += int(draw * (max_height - height + 1))
    width = lrint(height * aspect_ratio)
    if width * height < min_area:
        height += 1
        width = lrint(height * aspect_ratio)
    if width * height > max_area:
        height -= 1
        width = lrint(height * aspect_ratio)
    crop_area = width * height
    if (
        crop_area < min_area
        or crop_area > max_area
        or width > original_width
        or height > original_height
        or width <= 0
        or height <= 0
    ):
        return None
    draw = next(random)
    y = int(draw * (original_height - height)) if height < original_height else 0
    draw = next(random)
    x = int(draw * (original_width - width)) if width < original_width else 0
    return x, y, x + width, y + height


@given(
    width=sides, height=sides, seed=st.integers(0, 2**32), low=st.floats(0.01, 0.95), share=st.floats(0, 1),
    narrow=st.floats(0.3, 1.2), wide=st.floats(0, 1), covered=st.floats(0, 1),
)  # fmt: skip
def test_a_crop_is_the_operators(
    width: int, height: int, seed: int, low: float, share: float, narrow: float, wide: float, covered: float
) -> None:
    draws = np.random.default_rng(seed).random((ATTEMPTS, DRAWS))
    ranges = Ranges(area=(low, low + share * (1 - low)), aspect=(narrow, narrow + wide), covered=covered)
    assert random_crop(draws, width=width, height=height, **ranges) == operator(
        draws, width=width, height=height, **ranges
    )


@given(width=sides, height=sides, seed=st.integers(0, 2**32))
def test_a_crop_lies_within_the_photograph_and_shows_a_tenth_of_it(width: int, height: int, seed: int) -> None:
    draws = np.random.default_rng(seed).random((ATTEMPTS, DRAWS))
    left, upper, right, lower = random_crop(draws, width=width, height=height, **SLIM)
    assert 0 <= left < right <= width
    assert 0 <= upper < lower <= height
    assert (right - left) * (lower - upper) >= 0.1 * width * height


@pytest.fixture(scope="module", params=[(1024, 768), (768, 1024), (900, 900)], ids=str)
def drawn(request: pytest.FixtureRequest) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Crops of 4,000 photographs of one size: (4000, 4)."""
    width, height = request.param
    draws = np.random.default_rng(1).random((4_000, ATTEMPTS, DRAWS))
    return np.array(
        [random_crop(each, width=width, height=height, **SLIM) for each in draws], np.float64
    ), request.param


def test_the_distributions_are_the_operators(drawn: tuple[NDArray[np.float64], tuple[int, int]]) -> None:
    crops, (width, height) = drawn
    wide, tall = crops[:, 2] - crops[:, 0], crops[:, 3] - crops[:, 1]
    aspect, area = wide / tall, wide * tall / (width * height)
    assert 0.1 <= area.min() <= area.max() <= 1
    assert 0.74 < aspect.min() < 0.77
    assert 1.3 < aspect.max() < 1.34
    if width == height:
        # On a square the attempts that are refused, below a tenth of the area, are as likely at any aspect ratio a
        # and 1 / a: half of the aspect ratios' range lies above its middle.
        assert np.mean(aspect > 1.04) == pytest.approx(0.5, abs=0.04)
    # For a given aspect ratio every height from the least to the largest is as likely, above a tenth of the area.
    least = np.sqrt(0.1 * width * height / aspect)
    largest = np.minimum(height, width / aspect)
    place = (tall - least) / (largest - least)
    assert np.quantile(place, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.03)
    # So areas are not uniform between 0.1 and 1, which would put their median at 0.55.
    assert np.median(area) < 0.42
    assert np.corrcoef(crops[:, 0] / np.maximum(1, width - wide), area)[0, 1] == pytest.approx(0, abs=0.05)
    assert (crops[:, 0] / np.maximum(1, width - wide)).mean() == pytest.approx(0.5, abs=0.02)


def test_where_no_crop_has_the_shape_the_whole_photograph_is_shown() -> None:
    draws = np.random.default_rng(1).random((ATTEMPTS, DRAWS))
    assert random_crop(draws, width=1000, height=50, **SLIM) == (0, 0, 1000, 50), "a tenth of it is nearly square"
    assert random_crop(draws, width=1, height=1, **SLIM) == (0, 0, 1, 1)


def test_stages_draw_crops_colours_and_ways_of_resizing_of_their_own() -> None:
    augmentation = Augmentation(resize="tf_slim")
    genus, species = (RandomChanges(augmentation, seed=1, stage=stage, epoch=0) for stage in ("genus", "species"))
    pairs = [(genus.draws(at), species.draws(at)) for at in range(200)]
    assert not any(np.isin(one, two).any() for one, two in pairs)
    assert abs(np.corrcoef([one[0] for one, _ in pairs], [two[0] for _, two in pairs])[0, 1]) < 0.2
    methods = [species.crop(at, width=640, height=480)[1] for at in range(2_000)]
    for method in ("bilinear", "nearest", "bicubic", "area"):
        assert np.mean([found == method for found in methods]) == pytest.approx(0.25, abs=0.04)
    plain = RandomChanges(Augmentation(), seed=1, stage="species", epoch=0)
    assert plain.crop(3, width=640, height=480) == (species.crop(3, width=640, height=480)[0], "antialias")
