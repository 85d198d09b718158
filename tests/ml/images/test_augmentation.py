"""Random changes: within their ranges, TF-slim's formulas, the same for the same seed, epoch and photograph."""

import colorsys
import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.images.augmentation import ORDERS, Augmentation, RandomChanges, _distort, change_colours, crop_box

PAPER = Augmentation()
unit = st.floats(0, 1, exclude_max=True, allow_nan=False)


@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 100), position=st.integers(0, 10**6))
def test_draws_depend_on_seed_stage_epoch_and_photograph_only(seed: int, epoch: int, position: int) -> None:
    first, again, next_, other = (
        RandomChanges(PAPER, seed=seed, stage=stage, epoch=each)
        for stage, each in (("genus", epoch), ("genus", epoch), ("genus", epoch + 1), ("species", epoch))
    )
    first.draws(position + 1)
    assert np.array_equal(first.draws(position), again.draws(position))
    for changes in (next_, other):
        assert not np.isin(first.draws(position), changes.draws(position)).any()


@given(seed=st.integers(0, 2**32), size=st.tuples(st.integers(1, 900), st.integers(1, 900)))
def test_a_mirrored_crop_is_the_same_part_from_right_to_left(seed: int, size: tuple[int, int]) -> None:
    draws = np.random.default_rng(seed).random(410)
    width, height = size
    plain, mirrored, half = (
        crop_box(draws, width=width, height=height, augmentation=Augmentation(flip=flip)) for flip in (0.0, 1.0, 0.5)
    )
    assert mirrored == (plain[2], plain[1], plain[0], plain[3])
    assert half == (mirrored if draws[0] < 0.5 else plain)
    assert 0 <= plain[0] < plain[2] <= 1
    assert 0 <= plain[1] < plain[3] <= 1


@settings(max_examples=30, deadline=None)
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


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("colours", ["any", "extreme", "grey"])
def test_colours_change_by_tensorflows_formulas(order: int, colours: str) -> None:
    random = np.random.default_rng((order, len(colours)))
    pixels = random.random((3, 2, 3, 5, 6))
    if colours == "extreme":
        pixels = pixels.round()
    elif colours == "grey":
        pixels[..., 1:, :, :] = pixels[..., :1, :, :]
    draws = random.random((3, 10))
    draws[:, 5] = (order + draws[:, 5]) / 4
    changed = change_colours(torch.from_numpy(pixels).float(), draws=draws, augmentation=PAPER)
    for photo in range(3):
        expected = _slowly(pixels[photo], draws=draws[photo], augmentation=PAPER)
        np.testing.assert_allclose(changed[photo].numpy(), expected, atol=1e-5)


def test_photographs_with_different_amounts_can_be_changed_at_once() -> None:
    random = np.random.default_rng(8)
    pixels, amounts = torch.from_numpy(random.random((3, 2, 3, 4, 4))), torch.from_numpy(random.random((3, 4)))
    for order in range(4):
        together, alone = pixels.clone(), pixels.clone()
        _distort(together, order=order, amounts=amounts, scratch=torch.empty(4, 3, 2, 4, 4).double())
        for i in range(3):
            scratch = torch.empty(4, 1, 2, 4, 4).double()
            _distort(alone[i : i + 1], order=order, amounts=amounts[i : i + 1], scratch=scratch)
        assert torch.allclose(together, alone)


@given(colour=st.tuples(unit, unit, unit), turn=st.floats(-0.5, 0.5, exclude_max=True))
def test_hue_turns_any_way_around_the_circle(colour: tuple[float, float, float], turn: float) -> None:
    draws = np.full((1, 10), 0.5)
    draws[0, 9] = turn + 0.5
    still = Augmentation(brightness=0, contrast=0, saturation=0, hue=0.5)
    changed = change_colours(torch.tensor(colour).view(1, 1, 3, 1, 1), draws=draws, augmentation=still)
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    assert changed.flatten().tolist() == pytest.approx(
        colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value), abs=1e-5
    )


@pytest.mark.parametrize("order", range(4))
def test_what_two_views_show_keeps_the_same_colour_in_both(order: int) -> None:
    random = np.random.default_rng(order)
    whole = torch.from_numpy(random.random((1, 1, 3, 8, 8), dtype=np.float32))
    centre = whole[..., 2:6, 2:6].repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
    draws = random.random((1, 10))
    draws[0, 5] = order / 4
    seen = change_colours(torch.cat([whole, centre], dim=1), draws=draws, augmentation=PAPER)[0]
    assert torch.allclose(seen[1, :, ::2, ::2], seen[0, :, 2:6, 2:6], atol=1e-6)
    assert not torch.allclose(seen[0], whole[0, 0], atol=0.01)


def test_changed_colours_lie_in_memory_as_networks_run_them() -> None:
    pixels = torch.rand(3, 2, 3, 4, 5)
    changed = change_colours(pixels, draws=np.full((3, 10), 0.3), augmentation=PAPER)
    assert changed.transpose(0, 1).is_contiguous()
    assert change_colours(pixels[:0], draws=np.empty((0, 10)), augmentation=PAPER).shape == (0, 2, 3, 4, 5)


def test_the_papers_ranges() -> None:
    assert PAPER.area == (0.05, 1.0)
    assert PAPER.brightness == pytest.approx(0.125, abs=6e-4)
    assert (PAPER.contrast, PAPER.saturation, PAPER.hue, PAPER.flip) == (0.5, 0.5, 0.2, 0.5)


Planes = NDArray[np.float64]
"""Views (V, 3, H, W)."""


def _slowly(pixels: Planes, *, draws: NDArray[np.float64], augmentation: Augmentation) -> Planes:
    """TF-slim's `distort_color`, pixel by pixel; contrast about the mean of the first view."""
    signed = 2 * draws[6:] - 1
    changes: dict[str, Callable[[Planes], Planes]] = {
        "brightness": lambda planes: planes + signed[0] * augmentation.brightness,
        "contrast": lambda planes: _contrast(planes, 1 + signed[1] * augmentation.contrast),
        "saturation": lambda planes: _each(
            planes, lambda rgb: _saturation(rgb, 1 + signed[2] * augmentation.saturation)
        ),
        "hue": lambda planes: _each(planes, lambda rgb: _hue(rgb, signed[3] * augmentation.hue)),
    }
    for name in ORDERS[int(draws[5] * 4)]:
        pixels = changes[name](pixels)
    return pixels.clip(0, 1)


def _contrast(planes: Planes, factor: float) -> Planes:
    mean = planes[0].mean(axis=(1, 2))[:, None, None]
    scaled: Planes = (planes - mean) * factor + mean
    return scaled


Colour = tuple[float, float, float]


def _each(planes: Planes, change: Callable[[Colour], Colour]) -> Planes:
    changed = planes.copy()
    for view, row, column in _places(planes):
        red, green, blue = planes[view, :, row, column].tolist()
        changed[view, :, row, column] = change((red, green, blue))
    return changed


def _places(planes: Planes) -> Iterator[tuple[int, ...]]:
    views, _, height, width = planes.shape
    return itertools.product(range(views), range(height), range(width))


def _saturation(colour: Colour, factor: float) -> Colour:
    """`adjust_saturation_op.cc`: to HSV, where what is not above 0 has no saturation, and back."""
    value = max(colour)
    if value <= 0:
        return value, value, value
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    return colorsys.hsv_to_rgb(hue, min(1.0, saturation * factor), value)


def _hue(colour: Colour, turn: float) -> Colour:
    """`adjust_hue_op.cc`: the largest and the smallest channel's values stay, below 0 too."""
    least = min(colour)
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel - least for channel in colour))
    red, green, blue = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
    return red + least, green + least, blue + least
