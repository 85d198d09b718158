"""What is said of names is what cleanlab says of the same probabilities."""

import numpy as np
import pytest
import torch
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores, get_normalized_margin_for_each_label
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.label_quality.suspicion import FLOOR, SIBLING, Judgement, believed, judge, thresholds

CLASSES = 6
GENERA = torch.tensor([0, 0, 0, 1, 1, 2], dtype=torch.int32)


def world(seed: int, *, photos: int = 120, sure: float = 2.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities that mostly agree with the labels; every class has labels."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(CLASSES), random.integers(CLASSES, size=photos - CLASSES)])
    truth = np.where(random.random(photos) < 0.1, random.integers(CLASSES, size=photos), labels)
    logits = random.normal(size=(photos, CLASSES)) + sure * np.eye(CLASSES)[truth]
    distributions = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return distributions, labels


def judged(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Judgement:
    return judge(torch.from_numpy(probabilities), torch.from_numpy(labels), genera=GENERA)


def issues(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    found = judged(probabilities, labels)
    least = torch.from_numpy(thresholds(found.self_confidence, labels, classes=CLASSES))
    return found.contradicted & believed(torch.from_numpy(probabilities), torch.from_numpy(labels), least)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sure=st.floats(0, 6))
def test_scores_are_cleanlabs(seed: int, sure: float) -> None:
    probabilities, labels = world(seed, sure=sure)
    found = judged(probabilities, labels)
    own = get_label_quality_scores(labels, probabilities, method="self_confidence")
    np.testing.assert_allclose(found.self_confidence, own, atol=1e-12)
    np.testing.assert_allclose(found.margin, get_normalized_margin_for_each_label(labels, probabilities), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), sure=st.floats(0, 6))
def test_issues_are_the_off_diagonals_of_cleanlabs_confident_joint(seed: int, sure: float) -> None:
    probabilities, labels = world(seed, sure=sure)
    theirs = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    assert np.array_equal(issues(probabilities, labels), theirs)


@pytest.mark.parametrize("chunk", [1, 7, 120])
def test_photographs_may_come_in_any_chunks(chunk: int) -> None:
    probabilities, labels = world(3)
    whole = judged(probabilities, labels)
    parts = [judged(probabilities[at : at + chunk], labels[at : at + chunk]) for at in range(0, len(labels), chunk)]
    for name in ("self_confidence", "suggested", "suggested_probability", "suspicion"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


def test_the_suggestion_is_the_likeliest_other_class() -> None:
    found = judged(np.array([[0.5, 0.2, 0.0, 0.3, 0.0, 0.0], [0.1, 0.6, 0.3, 0.0, 0.0, 0.0]]), np.array([0, 1]))
    assert found.suggested.tolist() == [3, 2]
    assert found.suggested_probability.tolist() == [0.3, 0.3]


def test_suspicion_counts_species_of_the_genus_more_than_others() -> None:
    probabilities = np.array([[0.4, 0.3, 0.0, 0.3, 0.0, 0.0], [0.4, 0.0, 0.0, 0.6, 0.0, 0.0]])
    found = judged(probabilities, np.array([0, 0]))
    expected = np.log([(SIBLING * 0.3 + FLOOR) / (0.4 + FLOOR), (0.6 + FLOOR) / (0.4 + FLOOR)])
    np.testing.assert_allclose(found.suspicion, expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(0.01, 0.2))
def test_suspicion_falls_as_the_given_name_gets_likelier(seed: int, shift: float) -> None:
    probabilities, labels = world(seed)
    likelier = probabilities * (1 - shift)
    likelier[np.arange(len(labels)), labels] += shift
    assert (judged(likelier, labels).suspicion < judged(probabilities, labels).suspicion).all()


def test_a_class_without_photographs_is_never_believed() -> None:
    least = thresholds(np.array([0.5, 0.7]), np.array([0, 0]), classes=2)
    assert least.tolist() == [0.6, np.inf]
    assert not believed(torch.tensor([[0.1, 0.9]]), torch.tensor([0]), torch.from_numpy(least)).any()


def test_of_one_class_nothing_can_be_suggested() -> None:
    found = judge(torch.tensor([[1.0]]), torch.tensor([0]), genera=torch.tensor([0]))
    assert (found.suggested.tolist(), found.suggested_probability.tolist()) == ([-1], [0.0])
    assert not found.contradicted.any()
