"""Recipes: the paper's schedule as printed; rates follow the fraction of the epoch."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.recipes import PAPER, RECIPES, SAMPLE, rate_at


@pytest.mark.parametrize(
    ("done", "rate"), [(0, 0.01), (2.999, 0.01), (3, 0.001), (4.999, 0.001), (5, 0.0001), (5.999, 0.0001)]
)
def test_the_papers_rates_change_where_it_says(done: float, rate: float) -> None:
    assert rate_at(PAPER, done=done) == rate


def test_the_papers_baseline_takes_the_papers_steps() -> None:
    assert PAPER.epochs * (971_313 // PAPER.batch) == pytest.approx(182_121, abs=10)
    assert (PAPER.eps, PAPER.weight_decay, PAPER.dropout) == (1.0, 4e-5, 0.2)
    assert (PAPER.batch_norm_momentum, PAPER.batch_norm_eps) == (0.0003, 1e-3)
    assert PAPER.probe is None


@given(share=st.floats(0, 1, exclude_max=True))
def test_the_samples_rate_rises_then_falls_along_a_cosine(share: float) -> None:
    rate = rate_at(SAMPLE, done=share * SAMPLE.epochs)
    top = SAMPLE.segments[0].rate
    assert rate == pytest.approx(top * 0.5 * (1 + math.cos(math.pi * share)) * min(1, share / SAMPLE.warmup))
    assert 0 <= rate <= top


def test_nothing_is_trained_beyond_the_end() -> None:
    with pytest.raises(ValueError, match="ends after 6"):
        rate_at(PAPER, done=6)
    assert set(RECIPES) == {"paper", "sample"}
