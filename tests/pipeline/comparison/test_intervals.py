"""Intervals: those of SciPy where it has them, and a bootstrap that equals the plain one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.comparison.intervals import difference, over_photographs, over_seeds


@given(st.integers(1, 500).flatmap(lambda photos: st.tuples(st.integers(0, photos), st.just(photos))))
def test_a_share_of_photographs_has_the_exact_interval(case: tuple[int, int]) -> None:
    right, photos = case
    found = over_photographs(right / photos, photos=photos)
    expected = stats.binomtest(right, photos).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.interval_over == "photographs"


def test_several_seeds_have_students_interval_and_one_has_none() -> None:
    values = [0.50, 0.53, 0.51]
    found = over_seeds(values)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert found.interval_over == "seeds"
    assert (over_seeds([0.5]).low, over_seeds([0.5]).interval_over) == (None, "nothing")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 80))
def test_what_holds_for_any_two_networks(seed: int, seeds: int, photos: int) -> None:
    generator = np.random.default_rng(seed)
    one, other = (generator.integers(0, 2, (seeds, photos)).astype(float) for _ in range(2))
    observations = generator.integers(0, photos, photos)
    found = difference(one, other, observations=observations, seed=seed)
    assert found.value.low is not None
    assert found.value.high is not None
    assert found.value.value == pytest.approx(one.mean() - other.mean())
    assert found.value.value == pytest.approx(found.gained - found.lost)
    assert found.value.low <= found.value.value + 1e-9
    assert found.value.high >= found.value.value - 1e-9
    same = difference(one, one, observations=observations, seed=seed)
    assert (same.value.low, same.value.value, same.value.high) == (0, 0, 0)


def test_the_bootstrap_draws_whole_observations() -> None:
    generator = np.random.default_rng(5)
    observations = np.repeat(np.arange(150), generator.integers(1, 6, 150))
    kind = generator.choice([-1, 0, 1], size=150, p=[0.15, 0.6, 0.25])[observations]
    one, other = (kind > 0).astype(float)[None], (kind < 0).astype(float)[None]
    found = difference(one, other, observations=observations, seed=1)
    sums, photos = np.bincount(observations, weights=kind), np.bincount(observations)
    drawn = generator.integers(0, 150, (20_000, 150))
    low, high = np.quantile(sums[drawn].sum(1) / photos[drawn].sum(1), [0.025, 0.975])
    assert (found.value.low, found.value.high) == pytest.approx((low, high), abs=0.01)
    alone = difference(one, other, observations=np.arange(len(kind)), seed=1)
    assert alone.value.high - alone.value.low < 0.8 * (found.value.high - found.value.low)  # type: ignore[operator]
