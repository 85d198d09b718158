"""Gains: the mean over photographs, and an interval that draws whole observations."""

import numpy as np
import pytest

from ml.classifiers.gains import Measuring, gain, losses
from ml.specificity.temperature import SMALLEST, temper


def test_log_loss_is_that_of_tempered_probabilities() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(5), size=20)
    labels = generator.integers(5, size=20)
    for temperature in (0.5, 1.0, 3.0):
        expected = -np.log(temper(probabilities, temperature)[np.arange(20), labels])
        assert losses(probabilities, labels, np.full(20, temperature)) == pytest.approx(expected, rel=1e-6)


def test_an_impossible_species_costs_no_more_than_the_smallest_probability() -> None:
    assert losses(np.array([[1.0, 0.0]]), np.array([1]), np.ones(1)) == pytest.approx(-np.log(SMALLEST), rel=1e-6)


def test_the_interval_is_that_of_the_mean() -> None:
    differences = np.random.default_rng(1).normal(0.1, 1.0, size=1000)
    found = gain(differences, np.arange(1000), seed=0)
    assert found.value == pytest.approx(differences.mean())
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * differences.std() / np.sqrt(1000), rel=0.1)
    assert gain(differences, np.arange(1000), seed=0) == found


def test_photographs_of_one_observation_count_as_one_draw() -> None:
    differences = np.random.default_rng(1).normal(size=250)
    apart = gain(differences, np.arange(250), seed=0)
    four_times = gain(np.repeat(differences, 4), np.repeat(np.arange(250), 4), seed=0)
    assert four_times == pytest.approx(apart)


def test_a_single_observation_has_no_interval() -> None:
    assert gain(np.array([1.0, 0.0]), np.zeros(2, dtype=np.intp), seed=0) == (0.5, None, None)


def test_only_photographs_with_a_class_are_measured_each_at_the_temperature_of_its_case() -> None:
    measuring = Measuring(alone=2.0, composed=0.5)
    assert measuring.result(seed=0) is None
    values = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    composed = np.array([[0.2, 0.8], [0.3, 0.7], [0.9, 0.1]])
    labels = np.array([1, 1, -1], dtype=np.int32)
    measuring.add(values, composed, known=np.array([True, False, True]), labels=labels, ids=["", "", "c"])
    measuring.add(values, composed, known=np.ones(3, dtype=bool), labels=np.full(3, -1, np.int32), ids=["a", "b", "c"])
    found = measuring.result(seed=0)
    assert found is not None
    assert (found.photos, found.alone_accuracy, found.composed_accuracy) == (2, 0.5, 1.0)
    expected = -np.log([temper(composed[:1], 0.5)[0, 1], temper(values[1:2], 2.0)[0, 1]])
    assert found.composed_log_loss == pytest.approx(expected.mean())
    assert found.log_loss.value == pytest.approx(found.composed_log_loss - found.alone_log_loss)
