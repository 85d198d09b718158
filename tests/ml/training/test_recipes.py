"""Recipes: the paper's schedule as printed; rates follow the fraction of the epoch."""

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import RecipeError
from ml.spec import NetworkName
from ml.training.recipes import PAPER, RECIPES, SAMPLE, rate_at, recipe_of


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


@pytest.mark.parametrize(
    ("network", "batch", "segments", "steps"),
    [
        ("baseline", 32, [(3, 0.01), (2, 0.001), (1, 0.0001)], 182_121),
        ("baseline_matched", 16, [(2, 0.1), (1.5, 0.01), (0.5, 0.001), (0.5, 0.0001)], 273_182),
        ("multi_view", 16, [(2, 0.1), (1.5, 0.01), (0.5, 0.001), (0.5, 0.0001)], 273_182),
        ("genus_stage", 16, [(1.5, 0.1)], 91_061),
        ("knowledge_transfer", 16, [(1, 0.1), (1, 0.01), (0.5, 0.001), (0.5, 0.0001)], 182_121),
    ],
)
def test_every_paper_recipe_takes_the_printed_steps_at_the_printed_rates(
    network: NetworkName, batch: int, segments: list[tuple[float, float]], steps: int
) -> None:
    recipe = recipe_of("paper", network)
    assert recipe.batch == batch
    assert [(segment.epochs, segment.rate) for segment in recipe.segments] == segments
    per_epoch = 971_313 // batch
    rates = [rate_at(recipe, done=step / per_epoch) for step in range(round(recipe.epochs * per_epoch))]
    assert len(rates) == pytest.approx(steps, abs=10)
    for epochs, wanted in segments:
        assert sum(rate == wanted for rate in rates) / per_epoch == pytest.approx(epochs, abs=1e-4)
    assert (recipe.auxiliary_weight, recipe.dropout, recipe.optimiser, recipe.eps) == (0.4, 0.2, "tf_adam", 1.0)
    assert recipe.views == ((1.0,) if network.startswith("baseline") else (1.0, 0.5))
    assert (recipe.branches, recipe.fusion) == ("random", "random")
    assert recipe.rank == ("genus" if network == "genus_stage" else "species")


def test_the_papers_last_half_epoch_can_be_trained_as_printed() -> None:
    literal = recipe_of("paper", "knowledge_transfer", literal=True)
    assert [segment.rate for segment in literal.segments] == [0.1, 0.01, 0.001, 0.001]
    family = recipe_of("paper", "knowledge_transfer", literal=True, rank="family")
    assert (family.rank, family.segments) == ("family", literal.segments)


def test_the_literal_reading_is_refused_where_there_is_no_other(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"paper/multi_view of multi_view has no other reading.* paper/knowledge"):
        recipe_of("paper", "multi_view", literal=True)
    own = tmp_path / "recipes.yaml"
    same = recipe_of("paper", "knowledge_transfer").model_copy(update={"name": "own"})
    own.write_text(yaml.safe_dump({"knowledge_transfer": same.model_dump(mode="json")}), encoding="utf-8")
    for recipes in ("sample", str(own)):
        with pytest.raises(RecipeError, match="write the rate into the last segment of your own recipe"):
            recipe_of(recipes, "knowledge_transfer", literal=True)


@given(share=st.floats(0, 1, exclude_max=True))
def test_the_samples_rate_rises_then_falls_along_a_cosine(share: float) -> None:
    rate = rate_at(SAMPLE, done=share * SAMPLE.epochs)
    top = SAMPLE.segments[0].rate
    assert rate == pytest.approx(top * 0.5 * (1 + math.cos(math.pi * share)) * min(1, share / SAMPLE.warmup))
    assert 0 <= rate <= top


def test_recipes_of_ones_own_come_from_a_file(tmp_path: Path) -> None:
    own = SAMPLE.model_copy(update={"name": "own", "batch": 8})
    file = tmp_path / "recipes.yaml"
    file.write_text(yaml.safe_dump({"baseline": own.model_dump(mode="json")}), encoding="utf-8")
    assert recipe_of(str(file), "baseline") == own
    with pytest.raises(RecipeError, match=r"recipes\.yaml is neither one of paper, .* for multi_view"):
        recipe_of(str(file), "multi_view")
    with pytest.raises(RecipeError, match="neither one of paper, sample"):
        recipe_of("papers", "baseline")


def test_nothing_is_trained_beyond_the_end() -> None:
    with pytest.raises(ValueError, match="ends after 6"):
        rate_at(PAPER, done=6)
    assert set(RECIPES) == {"paper", "sample", "frozen"}


@pytest.mark.parametrize("name", ["paper", "sample"])
def test_the_third_experiment_takes_no_more_epochs_than_the_second(name: str) -> None:
    stages = recipe_of(name, "genus_stage").epochs + recipe_of(name, "knowledge_transfer").epochs
    assert stages == recipe_of(name, "multi_view").epochs == recipe_of(name, "baseline_matched").epochs
    assert {recipe.name for recipe in RECIPES[name].values()} == {f"{name}/{network}" for network in RECIPES[name]}
