"""Batches of k times as many photographs: each rate, decay and memory follows the rule of its source."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.spec import NetworkName
from ml.training.recipes import PAPER, SAMPLE, rate_at, recipe_of
from ml.training.scaling import scaled


def test_the_papers_rates_grow_with_the_batch_as_those_of_sgd() -> None:
    # Goyal et al. 2017: "When the minibatch size is multiplied by k, multiply the learning rate by k."
    recipe = scaled(PAPER, 8)
    assert recipe.batch == 256
    assert [segment.rate for segment in recipe.segments] == pytest.approx([0.08, 0.008, 0.0008])
    assert [segment.epochs for segment in recipe.segments] == [3, 2, 1]
    assert (recipe.weight_decay, recipe.eps, recipe.warmup) == (4e-5, 1.0, 0.05)
    # A step of 256 keeps of the statistics what eight steps of 32 keep.
    assert recipe.batch_norm_momentum is not None
    assert 1 - recipe.batch_norm_momentum == pytest.approx(0.9997**8)
    assert recipe.ema is None
    # "How to Scale Your EMA": the decay to the power of k.
    assert scaled(PAPER.model_copy(update={"ema": 0.999}), 8).ema == pytest.approx(0.999**8)


def test_the_samples_rates_grow_by_the_square_root() -> None:
    # Malladi et al. 2022, square root scaling rule: rate by sqrt(k), epsilon by 1 / sqrt(k).
    recipe = scaled(SAMPLE, 4)
    assert (recipe.batch, recipe.warmup, recipe.batch_norm_momentum) == (128, SAMPLE.warmup, None)
    assert recipe.segments[0].rate == pytest.approx(2 * SAMPLE.segments[0].rate)
    assert recipe.eps == pytest.approx(SAMPLE.eps / 2)
    assert recipe.probe == SAMPLE.probe


@given(
    scale=st.floats(1, 64), name=st.sampled_from(["paper", "sample"]), network=st.sampled_from(get_args(NetworkName))
)
def test_a_scaled_recipe_trains_as_long_and_decays_as_much_per_epoch(
    scale: float, name: str, network: NetworkName
) -> None:
    recipe = recipe_of(name, network)
    larger = scaled(recipe, scale)
    assert larger.epochs == recipe.epochs
    assert larger.batch == round(recipe.batch * scale)
    per_epoch = [
        each.segments[0].rate * each.weight_decay / each.batch for each in (recipe, larger)
    ]  # rate x decay x steps of an epoch
    assert per_epoch[1] == pytest.approx(per_epoch[0])
    assert rate_at(larger, done=larger.warmup * larger.epochs * 0.999) <= larger.segments[0].rate


def test_a_scale_of_one_leaves_the_recipe_and_less_is_refused() -> None:
    assert scaled(PAPER, 1.0) is PAPER
    assert scaled(PAPER, 1.001) is PAPER
    for wrong in (0.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="batch_scale must be at least 1"):
            scaled(PAPER, wrong)
