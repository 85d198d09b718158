"""Photographs of one organism are joined: each adds what it says anew, in any order, and none has a veto."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.specificity.answers import restrict
from ml.specificity.pooling import effective_photographs, evidence, fit_dependence, pool
from ml.specificity.temperature import SMALLEST
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Floats, Integers
from tests.ml.specificity_fixtures import random_rows, random_tree

SEEDS, DEPENDENCES = st.integers(0, 2**32 - 1), st.floats(0, 1)


def photographs(seed: int, *, organisms: int = 3, photos: int = 4, classes: int = 9) -> Floats:
    rows = random_rows(np.random.default_rng(seed), photos=organisms * photos, classes=classes, sharpness=1.5)
    return rows.reshape(organisms, photos, classes)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, dependence=DEPENDENCES)
def test_one_photograph_stays_as_it_is(seed: int, dependence: float) -> None:
    rows = photographs(seed, photos=1)
    np.testing.assert_array_equal(pool(rows, dependence=dependence), rows[:, 0])


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, dependence=DEPENDENCES)
def test_rows_sum_to_one_and_the_order_does_not_matter(seed: int, dependence: float) -> None:
    rows = photographs(seed)
    joined = pool(rows, dependence=dependence)
    np.testing.assert_allclose(joined.sum(axis=1), 1)
    np.testing.assert_allclose(pool(rows[:, ::-1], dependence=dependence), joined)
    np.testing.assert_allclose(pool(rows[:, [2, 0, 3, 1]], dependence=dependence), joined)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, dependence=DEPENDENCES)
def test_a_photograph_twice_adds_less_the_more_dependent_photographs_are(seed: int, dependence: float) -> None:
    rows = photographs(seed, photos=1)
    twice = pool(np.repeat(rows, 2, axis=1), dependence=dependence)
    certainty = [
        float(pool(np.repeat(rows, 2, axis=1), dependence=other).max(axis=1).sum())
        for other in (min(1.0, dependence + 0.2), dependence)
    ]
    assert certainty[0] <= certainty[1] + 1e-12
    assert (twice.max(axis=1) >= rows.max(axis=(1, 2)) - 1e-12).all()
    copied = pool(np.repeat(rows, 5, axis=1), dependence=1.0)
    np.testing.assert_allclose(copied, rows[:, 0], rtol=1e-6)


def test_a_photograph_twice_adds_less_than_two_that_agree_on_the_species_and_on_nothing_else() -> None:
    first = np.array([0.6, 0.3, 0.05, 0.05])
    other = np.array([0.6, 0.05, 0.3, 0.05])
    for dependence in (0.0, 0.3, 0.9):
        twice = pool(np.stack([first, first])[None], dependence=dependence)
        both = pool(np.stack([first, other])[None], dependence=dependence)
        assert both[0, 0] > twice[0, 0]


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, dependence=DEPENDENCES)
def test_a_photograph_that_says_nothing_costs_what_the_exponent_says(seed: int, dependence: float) -> None:
    rows = photographs(seed, photos=2)
    nothing = np.full((3, 1, 9), 1 / 9)
    joined = pool(np.concatenate([rows, nothing], axis=1), dependence=dependence)
    share = effective_photographs(3, dependence) / 3
    expected = np.maximum(rows, SMALLEST).prod(axis=1) ** share
    np.testing.assert_allclose(joined, expected / expected.sum(axis=1, keepdims=True))
    # Independent photographs lose nothing by it.
    independent = pool(np.concatenate([rows, nothing], axis=1), dependence=0.0)
    np.testing.assert_allclose(independent, pool(rows, dependence=0.0))


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, dependence=DEPENDENCES)
def test_what_is_known_beforehand_may_be_told_before_joining_or_after_it(seed: int, dependence: float) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=9, depth=4)
    node = int(tree.levels[2][0])
    rows = photographs(seed, classes=tree.class_count)
    after = restrict(pool(rows, dependence=dependence), tree, [node])
    inside = slice(int(tree.leaf_begin[node]), int(tree.leaf_end[node]))
    before = rows[:, :, inside] / rows[:, :, inside].sum(axis=2, keepdims=True)
    if np.minimum(rows, 1).min() > SMALLEST and before.min() > SMALLEST:
        np.testing.assert_allclose(after[:, inside], pool(before, dependence=dependence), rtol=1e-6, atol=1e-12)


def test_no_photograph_rules_a_species_out() -> None:
    sure, wrong = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    joined = pool(np.stack([sure, sure, wrong])[None], dependence=0.2)
    assert joined[0].argmax() == 0
    assert (joined > 0).all()


def test_more_photographs_than_were_calibrated_count_as_much_as_these() -> None:
    rows = photographs(3, organisms=1, photos=1)
    five, fifty = (pool(np.repeat(rows, photos, axis=1), dependence=0.1, most=5) for photos in (5, 50))
    np.testing.assert_allclose(fifty, five)
    assert effective_photographs(50, 0.1) > effective_photographs(5, 0.1)


@pytest.mark.parametrize(("photos", "dependence"), [(0, 0.5), (2, -0.1), (2, 1.1), (2, float("nan"))])
def test_what_cannot_be_joined_is_refused(photos: int, dependence: float) -> None:
    with pytest.raises(SpecificityError, match="cannot be joined"):
        effective_photographs(photos, dependence)


def drawn(dependent: float, *, sets: int = 4_000, photos: int = 3, classes: int = 6) -> tuple[Floats, Integers]:
    """Honest photographs whose noise is shared to the share `dependent`: log probabilities of Gaussian evidence."""
    generator = np.random.default_rng(4)
    labels = generator.integers(classes, size=sets)
    shared, own = generator.normal(size=(sets, 1, classes)), generator.normal(size=(sets, photos, classes))
    seen = np.sqrt(dependent) * shared + np.sqrt(1 - dependent) * own
    seen[np.arange(sets), :, labels] += 1.3
    logits = 1.3 * seen
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    rows: Floats = powers / powers.sum(axis=2, keepdims=True)
    return rows, labels.astype(np.int32)


@pytest.mark.parametrize("dependent", [0.0, 0.3, 0.7, 1.0])
def test_the_dependence_that_photographs_have_is_found(dependent: float) -> None:
    rows, labels = drawn(dependent)
    found = fit_dependence([(m, evidence(rows[:, :m]), labels) for m in (2, 3)])
    assert found == pytest.approx(dependent, abs=0.08)
