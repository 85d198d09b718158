"""Temperature scaling: it finds the temperature that spoilt the probabilities, and serves what was calibrated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.specificity.temperature import SMALLEST, fit_temperature, negative_log_likelihood, temper
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Floats, Integers, Taxonomy
from tests.ml.specificity_fixtures import random_rows, random_tree


def _honest(photos: int, seed: int = 1) -> tuple[Floats, Integers, Taxonomy]:
    """Labels drawn from the very probabilities."""
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=12)
    rows = random_rows(generator, photos=photos, classes=tree.class_count, sharpness=1.5)
    labels = (rows.cumsum(axis=1) > generator.random((photos, 1))).argmax(axis=1)
    return rows, labels.astype(np.int32), tree


@pytest.mark.parametrize("spoilt", [0.5, 1.0, 2.5])
def test_the_temperature_that_spoilt_the_probabilities_is_found(spoilt: float) -> None:
    rows, labels, tree = _honest(6_000)
    assert fit_temperature(temper(rows, spoilt), labels, tree) == pytest.approx(1 / spoilt, rel=0.06)


def test_no_other_temperature_is_likelier() -> None:
    rows, labels, tree = _honest(500)
    best = fit_temperature(rows, labels, tree)
    least = negative_log_likelihood(rows, labels, tree, best)
    for other in (best * 0.8, best * 0.95, best * 1.05, best * 1.3):
        assert negative_log_likelihood(rows, labels, tree, other) > least


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), temperature=st.floats(0.05, 20))
def test_distributions_stay_distributions_in_the_same_order(seed: int, temperature: float) -> None:
    rows = random_rows(np.random.default_rng(seed), photos=4, classes=9)
    tempered = temper(rows, temperature)
    np.testing.assert_allclose(tempered.sum(axis=1), 1)
    assert (tempered.argmax(axis=1) == rows.argmax(axis=1)).all()
    np.testing.assert_allclose(temper(rows, 1.0), rows)


def test_what_half_precision_cannot_hold_is_zero_everywhere() -> None:
    row = np.array([[1 - SMALLEST / 2, SMALLEST / 2]])
    assert temper(row, 5.0)[0, 1] == 0
    stored = row.astype(np.float16).astype(np.float64)
    np.testing.assert_array_equal(temper(stored, 5.0), temper(row, 5.0))


def test_a_true_species_of_probability_zero_does_not_make_everything_infinite() -> None:
    _, _, tree = _honest(1)
    rows = np.eye(tree.class_count)[:6]
    labels = np.array([0, 1, 2, 3, 4, 0], dtype=np.int32)
    assert np.isfinite(negative_log_likelihood(rows, labels, tree, 1.0))
    assert fit_temperature(rows, labels, tree) > 1


def test_only_the_rows_that_may_be_used_are_used() -> None:
    rows, labels, tree = _honest(800)
    wrong = labels.copy()
    wrong[400:] = (wrong[400:] + 1) % tree.class_count
    used = np.arange(400)
    assert fit_temperature(rows, wrong, tree, rows=used) == fit_temperature(rows[:400], labels[:400], tree)


def test_a_temperature_that_is_none_is_refused() -> None:
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(SpecificityError, match="above 0"):
            temper(np.array([[1.0]]), temperature)
