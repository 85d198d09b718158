"""Weights by distance, uncertainty and season."""

import numpy as np
import pytest

from ml.places.kernels import LEAST_WIDTH_KM, distance_weights, season_weights
from ml.places.sites import YEAR

NONE = np.array([np.nan])


def test_an_uncertain_occurrence_weighs_what_can_be_expected_of_it() -> None:
    # 5 km away by its stated place, with a standard deviation of 4 km along each axis; the last neighbour at 20 km.
    offsets = np.random.default_rng(0).normal((5, 0), 4, (200_000, 2))
    weights = distance_weights(np.array([[5.0, 20.0]]), np.array([[8_000.0, np.nan]]), NONE, width=0.5)
    expected = np.exp(-(offsets**2).sum(axis=1) / 2 / 10**2).mean()
    assert weights[0, 0] == pytest.approx(expected, rel=0.01)
    assert weights[0, 1] == pytest.approx(np.exp(-2))


def test_variances_of_the_kernel_and_of_an_uncertain_site_add() -> None:
    weights = distance_weights(np.array([[0.0, 10.0]]), np.full((1, 2), np.nan), np.array([24_000.0]), width=0.5)
    assert weights[0].tolist() == pytest.approx([1, np.exp(-(10**2) / 2 / (5**2 + 12**2))])


def test_a_spot_without_any_distance_has_a_kernel_of_the_least_width() -> None:
    assert distance_weights(np.zeros((1, 3)), np.full((1, 3), np.nan), NONE, width=0.5).tolist() == [[1, 1, 1]]
    near = distance_weights(np.array([[0.0, 1.0]]), np.full((1, 2), np.nan), NONE, width=0.5)
    assert near[0, 1] == pytest.approx(np.exp(-1 / 2 / LEAST_WIDTH_KM**2))


def test_a_neighbour_that_is_none_weighs_nothing() -> None:
    weights = distance_weights(np.array([[3.0, np.inf], [np.inf, np.inf]]), np.full((2, 2), np.nan),
                               np.full(2, np.nan), width=0.5)  # fmt: skip
    assert weights[0, 0] > 0
    assert weights[:, 1].tolist() == [0, 0]
    assert weights[1, 0] == 0


@pytest.mark.parametrize("wide", [5.0, 45.0, 400.0])
def test_a_season_has_mean_one_over_the_year_and_no_beginning(wide: float) -> None:
    days = np.tile(np.arange(1, YEAR + 1), (2, 1))
    weights = season_weights(days, np.array([1.0, 200.0]), days_wide=wide)
    assert weights.mean(axis=1).tolist() == pytest.approx([1, 1])
    assert np.array_equal(np.roll(weights[0], 199), weights[1])
    assert weights[0, -1] == weights[0, 1]
