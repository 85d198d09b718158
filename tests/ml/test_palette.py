"""The palette can be read: contrast on white, and series that stay apart for every kind of colour vision."""

import itertools

import numpy as np
import pytest

from ml.palette import BLUE, DASHES, GREEN, HATCHES, INK, MARKERS, MUTED, PURPLE, SERIES, VERMILION

Vector = np.ndarray

SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB."""


def linear(colour: str) -> Vector:
    """Linear RGB of a colour like `#004773`."""
    values = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))


def contrast(one: str, other: str = "#ffffff") -> float:
    """The ratio of WCAG 2.2."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: Vector) -> Vector:
    """Ottosson's (2020) perceptual space, times 100: 2 is a just visible difference."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    opponents = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(100 * opponents @ np.cbrt(cones @ np.clip(rgb, 0, 1)))


@pytest.mark.parametrize("colour", SERIES)
def test_marks_have_contrast(colour: str) -> None:
    assert contrast(colour) >= 3


@pytest.mark.parametrize("colour", [INK, MUTED, BLUE, VERMILION, GREEN, PURPLE])
def test_text_has_contrast(colour: str) -> None:
    assert contrast(colour) >= 4.5


@pytest.mark.parametrize("seen", SEEN)
def test_series_stay_apart_for_every_kind_of_colour_vision(seen: str) -> None:
    places = [oklab(np.asarray(SEEN[seen]) @ linear(colour)) for colour in SERIES]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(places, 2)) >= 9.5


def test_series_differ_without_colour() -> None:
    for marks in (MARKERS, DASHES, HATCHES):
        assert len(set(marks)) == len(SERIES)
