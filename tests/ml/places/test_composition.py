"""Network times prior at the leaves: what the plain formula gives, and nothing where the prior knows nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.places.composition import compose
from ml.places.sites import Sites
from tests.ml.places.drawing import SPECIES, at, drawn, near, occurrences, prior_of


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 1.0, 2.5]), st.sampled_from([np.float16, np.float64]))
def test_it_is_the_product_with_a_power_of_the_shares(seed: int, exponent: float, kind: type[np.floating]) -> None:
    records = drawn(seed)
    # Species 0 has no place.
    records = records._replace(class_id=np.maximum(records.class_id, 1))
    look = prior_of(records).look(near(records, seed))
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(SPECIES), 5).astype(kind)
    expected = probabilities.astype(np.float64) * look.shares(SPECIES) ** exponent
    expected /= expected.sum(axis=1, keepdims=True)
    composed = compose(probabilities, look, exponent=exponent)
    assert np.allclose(composed, expected, atol=1e-9)
    assert np.allclose(composed.sum(axis=1), 1)


def test_where_the_prior_knows_nothing_the_photograph_alone_speaks() -> None:
    prior = prior_of(occurrences((0, 0, 0, 0), (0, 1, 0, 1), (0, 1, 0, 2)), species=3)
    look = prior.look(Sites(*(np.array(column) for column in ((0, 60, np.nan), (0, 60, np.nan), *[[np.nan] * 3] * 2))))
    probabilities = np.array([[0.2, 0.3, 0.5]] * 3)
    composed = compose(probabilities, look, exponent=1.0)
    assert composed[1:].tolist() == probabilities[1:].tolist()
    assert composed[0].tolist() != probabilities[0].tolist()


def test_an_exponent_of_zero_changes_nothing() -> None:
    probabilities = np.array([[0.25, 0.75]])
    look = prior_of(occurrences((0, 0, 0, 0), (0, 1, 0, 1)), species=2).look(at(0, 0))
    assert compose(probabilities, look, exponent=0.0).tolist() == probabilities.tolist()


def test_many_photographs_are_composed_as_each_alone() -> None:
    records = drawn(3, rows=300)
    prior = prior_of(records)
    sites = near(records, 4, number=1_100)
    probabilities = np.random.default_rng(1).dirichlet(np.ones(SPECIES), 1_100)
    together = compose(probabilities, prior.look(sites), exponent=1.3)
    for row in (0, 499, 500, 1_099):
        alone = compose(probabilities[row : row + 1], prior.look(sites.rows(slice(row, row + 1))), exponent=1.3)
        assert together[row].tolist() == pytest.approx(alone[0].tolist(), abs=1e-9)
