"""Random changes: within their ranges, TF-slim's formulas, the same for the same seed, epoch and photograph."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import augment
from ml.augment import Augmentation, Draws, change_colours, crop_box

PAPER = Augmentation()
unit = st.floats(0, 1, exclude_max=True, allow_nan=False)


@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 100), position=st.integers(0, 10**6))
def test_draws_depend_on_seed_epoch_and_photograph_only(seed: int, epoch: int, position: int) -> None:
    first = Draws(seed=seed, epoch=epoch)
    first.of(position + 1)
    assert np.array_equal(first.of(position), Draws(seed=seed, epoch=epoch).of(position))
    assert not np.array_equal(first.of(position), Draws(seed=seed, epoch=epoch + 1).of(position))


@given(draws=st.lists(unit, min_size=10, max_size=10), low=st.floats(0.05, 0.9))
def test_a_crop_lies_within_the_photograph_and_keeps_the_wanted_area(draws: list[float], low: float) -> None:
    left, upper, right, lower = crop_box(np.array(draws), augmentation=Augmentation(area=(low, 1.0)))
    assert 0 <= left < right <= 1 + 1e-9
    assert 0 <= upper < lower <= 1 + 1e-9
    area = (right - left) * (lower - upper)
    # A wide crop of almost everything is cut off at the edge, so that it keeps at most a quarter less than asked.
    assert low * 0.75 - 1e-9 <= area <= 1 + 1e-9


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31))
def test_changed_colours_stay_colours(seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = torch.from_numpy(random.random((3, 2, 3, 5, 6), dtype=np.float32))
    changed = change_colours(pixels, draws=random.random((3, 10)), augmentation=PAPER)
    assert changed.shape == pixels.shape
    assert changed.isfinite().all()
    assert 0 <= changed.min() <= changed.max() <= 1


def test_a_photograph_is_changed_the_same_in_any_batch() -> None:
    random = np.random.default_rng(3)
    pixels = torch.from_numpy(random.random((4, 2, 3, 6, 6), dtype=np.float32))
    draws = random.random((4, 10))
    together = change_colours(pixels, draws=draws, augmentation=PAPER)
    alone = torch.cat([change_colours(pixels[[i]], draws=draws[[i]], augmentation=PAPER) for i in range(4)])
    assert torch.equal(together, alone)


@given(colour=st.tuples(unit, unit, unit), amount=st.floats(-0.2, 0.2))
def test_hue_turns_the_circle(colour: tuple[float, float, float], amount: float) -> None:
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    changed = augment.hue(
        torch.tensor(colour, dtype=torch.float64).view(1, 3, 1, 1), torch.full((1, 1, 1, 1), amount).double()
    )
    expected = colorsys.hsv_to_rgb((hue + amount) % 1, saturation, value)
    assert changed.flatten().tolist() == pytest.approx(expected, abs=1e-6)


@given(colour=st.tuples(unit, unit, unit), factor=st.floats(0.5, 1.5))
def test_saturation_scales_and_stops_at_one(colour: tuple[float, float, float], factor: float) -> None:
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    changed = augment.saturation(
        torch.tensor(colour, dtype=torch.float64).view(1, 3, 1, 1), torch.full((1, 1, 1, 1), factor).double()
    )
    expected = colorsys.hsv_to_rgb(hue, min(1.0, saturation * factor), value)
    assert changed.flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_brightness_adds_and_contrast_pivots_on_each_channels_mean() -> None:
    pixels = torch.tensor([[0.2, 0.4], [0.1, 0.5], [0.3, 0.3]]).view(1, 3, 1, 2)
    half = torch.full((1, 1, 1, 1), 0.5)
    assert torch.allclose(augment.brightness(pixels, half / 4), pixels + 0.125)
    expected = torch.tensor([[0.25, 0.35], [0.2, 0.4], [0.3, 0.3]]).view(1, 3, 1, 2)
    assert torch.allclose(augment.contrast(pixels, half), expected)


def test_the_papers_ranges() -> None:
    assert PAPER.area == (0.05, 1.0)
    assert PAPER.brightness == pytest.approx(0.125, abs=6e-4)
    assert (PAPER.contrast, PAPER.saturation, PAPER.hue, PAPER.flip) == (0.5, 0.5, 0.2, 0.5)
