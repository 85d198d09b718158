"""What may be asked of a model: each parameter's values, and a sentence for everything else."""

import math
from typing import Any

import numpy as np
import pytest

from ml.serving.question import Question, QuestionError


def test_nothing_asked_is_what_was_calibrated() -> None:
    assert Question.of(None) == Question.of({}) == Question()


def test_null_is_as_good_as_absent() -> None:
    nulls = dict.fromkeys(("target", "threshold", "within", "renormalise", "top", "region", "embedding"))
    assert Question.of(nulls) == Question()


@pytest.mark.parametrize(
    ("params", "question"),
    [
        ({"target": 0.9}, Question(target=0.9)),
        ({"threshold": 1}, Question(threshold=1.0)),
        ({"threshold": np.float32(0.5)}, Question(threshold=0.5)),
        ({"within": "Aves"}, Question(within=("Aves",))),
        ({"within": ["Aves", 212]}, Question(within=("Aves", "212"))),
        ({"within": np.array(["Aves"])}, Question(within=("Aves",))),
        ({"renormalise": np.False_}, Question(renormalise=False)),
        ({"top": np.int64(0)}, Question(top=0)),
        ({"region": []}, Question()),
        ({"embedding": np.True_}, Question(embedding=True)),
        ({"watch": "Aves=0.2"}, Question(watch=("Aves=0.2",))),
        ({"watch": ["Plantae > Morus = 1e-3", 212]}, Question(watch=("Plantae > Morus = 1e-3", "212"))),
        ({"region": (0, 0, 0.5, 1)}, Question(region=(0.0, 0.0, 0.5, 1.0))),
    ],
)
def test_values_come_in_every_type_that_means_them(params: dict[str, Any], question: Question) -> None:
    assert Question.of(params) == question


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (
            {"treshold": 0.5},
            r"no parameter is called 'treshold' \(did you mean threshold\?\); known are target, thresh",
        ),
        ({7: 0.5}, "no parameter is called '7'; known are"),
        ({"x" * 10_000: 1}, r"no parameter is called 'x+\.\.\.x+'; known"),
        ([0.5], "params must be an object of names and values, not a list"),
        ("target", "params must be an object of names and values, not text"),
        ({"target": 90}, "the target accuracy must lie between 0 and 1, not 90; 90 % is 0.9"),
        ({"target": 1.0}, "between 0 and 1, not 1$"),
        ({"target": 0}, "between 0 and 1, not 0$"),
        ({"target": math.nan}, "target must be a finite number"),
        ({"target": 10**400}, "target must be a finite number"),
        ({"target": "0.9"}, "target must be a number, not text"),
        ({"target": True}, "target must be a number, not true or false"),
        ({"watch": "Aves=2"}, "watch takes a taxon, or TAXON=PROBABILITY as in Aves=0.2, not 'Aves=2'"),
        ({"watch": ["Aves=0"]}, "not 'Aves=0'"),
        ({"watch": ["Aves=nan"]}, "not 'Aves=nan'"),
        ({"watch": ["Aves=much"]}, "not 'Aves=much'"),
        ({"watch": ["=0.2"]}, "not '=0.2'"),
        ({"watch": 7}, "watch must be a list of names or keys of taxa, not a number"),
        ({"threshold": 2}, r"the threshold must lie in \[0, 1\], not 2"),
        ({"threshold": math.inf}, "threshold must be a finite number"),
        ({"target": 0.9, "threshold": 0.9}, "not both"),
        ({"within": 212}, "within must be a list of names or keys of taxa, not a number"),
        ({"within": {"kingdom": "Plantae"}}, "within must be a list of names or keys of taxa, not an object"),
        ({"within": ["Aves", None]}, "holds null"),
        ({"within": [["Aves"]]}, "holds a list"),
        ({"within": ["A" * 100_000]}, "within holds a text of 100000 characters, which no taxon has"),
        ({"renormalise": "no"}, "renormalise must be true or false, not text"),
        ({"renormalise": 0}, "renormalise must be true or false, not a number"),
        ({"top": -1}, "0 or more, not -1"),
        ({"top": 2.5}, "top must be a whole number, not a number"),
        ({"region": [0.1, 0.2]}, "left, upper, right and lower edge, not 2 numbers"),
        ({"region": [0.5, 0.0, 0.4, 1.0]}, "as fractions of the photograph, not 0.5, 0, 0.4, 1"),
        ({"region": [0, 0, 640, 480]}, "as fractions of the photograph, not 0, 0, 640, 480"),
        ({"region": [0, 0, math.nan, 1]}, "region must be a finite number"),
        ({"region": "0 0 1 1"}, "region must be a list of numbers, not text"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(params: object, reason: str) -> None:
    with pytest.raises(QuestionError, match=reason) as refused:
        Question.of(params)
    assert len(str(refused.value)) < 250
