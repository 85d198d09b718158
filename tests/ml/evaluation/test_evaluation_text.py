"""The evaluation in words explains each number once, and says who is taken for whom."""

import numpy as np
import pytest

from ml.evaluation.evaluation_text import evaluation_text
from ml.evaluation.metrics import Answers, confused_pairs, measure

LINEAGE = np.array([[0, 1, 2], [0, 1, 3], [0, 4, 5]])
"""Of three genera: the first two are of one phylum."""
NAMES = ["Apis", "Bombus", "Morus"]


def text_of(predicted: list[int], *, labels: list[int]) -> str:
    answers = Answers(
        labels=np.array(labels),
        top_ids=np.array([[each, (each + 1) % 3] for each in predicted]),
        top_probabilities=np.full((len(labels), 2), 0.5, dtype=np.float32),
    )
    measured = measure(answers, lineage=LINEAGE, sizes=np.array([5, 12, 12]))
    pairs = confused_pairs(answers, lineage=LINEAGE)
    return evaluation_text(
        {"validation": measured, "train": measured}, pairs, names=NAMES, rank="genus", title="genus stage"
    )


def test_it_begins_with_the_result_and_explains_each_number_once() -> None:
    text = text_of([0, 0, 1, 1], labels=[0, 1, 1, 1])
    assert text.startswith("genus stage: 75.0 % of 4 validation photographs are given the right genus.\n")
    assert "| top-1 | 75.0 % | 75.0 % |" in text
    assert "| mean over the genera | 83.3 % | 83.3 % |" in text
    assert "| top-1, 10-19 training photographs of it | 66.7 % | 66.7 % |" in text
    assert "| calibration error | 25.0 % | 25.0 % |" in text
    for name in ("Top-1:", "Top-5:", "Calibration error:"):
        assert text.count(name) == 1


@pytest.mark.parametrize(
    ("predicted", "line"),
    [
        ([0, 0, 1, 1], "| Apis | Bombus | 0 | 1 | the phylum |"),
        ([2, 1, 1, 1], "| Apis | Morus | 1 | 0 | the kingdom |"),
        ([0, 1, 1, 1], "No validation photograph was taken for another one."),
    ],
)
def test_the_confused_are_named_with_what_they_share(predicted: list[int], line: str) -> None:
    assert line in text_of(predicted, labels=[0, 1, 1, 1])
