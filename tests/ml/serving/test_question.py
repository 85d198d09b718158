"""What may be asked of a model: each parameter's values, and a sentence for everything else."""

import math
from typing import Any

import numpy as np
import pytest

from ml.serving.question import Question, QuestionError
from ml.serving.sighting import NOTHING, Sighting


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
        ({"place": [-41.3, 174.8]}, Question(place=(-41.3, 174.8))),
        ({"place": np.array([-41.3, 174.8])}, Question(place=(-41.3, 174.8))),
        ({"place": "41.3 S, 174.8 E", "uncertainty_m": 500}, Question(place=(-41.3, 174.8), uncertainty_m=500.0)),
        ({"place": [-17, 190]}, Question(place=(-17.0, -170.0))),
        ({"place": []}, Question()),
        ({"date": "2024-05-17", "exif": True}, Question(date="2024-05-17", exif=True)),
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
        ({"place": [174.8, -41.3]}, "place: the latitude 174.8 is not between -90 and 90; did you mean -41.3,174.8"),
        ({"place": [-41.3]}, "place: a place is a latitude and a longitude, not 1 value"),
        ({"place": [math.nan, 174.8]}, "place: the latitude is nan, which is no number of degrees"),
        ({"place": [None, 174.8]}, "place: the latitude is None, which is no number of degrees"),
        ({"place": [0, 0]}, "place: 0,0 is what devices and spreadsheets write where there is no place"),
        ({"place": "Wellington"}, "place: 'Wellington' is no place; write latitude and longitude"),
        ({"place": 7}, "place must be a list of latitude and longitude, not a number"),
        ({"place": {"lat": 1, "lon": 2}}, "place must be a list of latitude and longitude, not an object"),
        ({"date": "17 May"}, "'17 May' is no date; write a date as in 2024-05-17"),
        ({"date": "2023-02-29"}, "has the day 29, but February 2023 has 28"),
        ({"date": "0000-05-17"}, "has the year 0"),
        ({"date": 20240517}, "date must be text, not a number"),
        ({"exif": "yes"}, "exif must be true or false, not text"),
        ({"place": [-41.3, 174.8], "uncertainty_m": 0}, "uncertainty of a place is a number of metres up to"),
        ({"place": [-41.3, 174.8], "uncertainty_m": 1e9}, "uncertainty of a place is a number of metres up to"),
        ({"uncertainty_m": 30}, "an uncertainty is that of a place: give the place, too"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(params: object, reason: str) -> None:
    with pytest.raises(QuestionError, match=reason) as refused:
        Question.of(params)
    assert len(str(refused.value)) < 250


def test_what_is_said_of_where_and_when_is_a_place_and_a_day() -> None:
    assert Question().sighting == NOTHING
    question = Question(place=(-41.3, 174.8), uncertainty_m=500, date="2024-02-29")
    assert question.sighting == Sighting((-41.3, 174.8), 500, 60)
    assert Question(date="2024").sighting == NOTHING, "a year tells no season"


def test_what_is_said_of_a_photograph_counts_for_more_and_an_uncertainty_belongs_to_its_place() -> None:
    own, all_of_them = Sighting((-36.9, 174.8)), Sighting((-41.3, 174.8), 500, 60)
    assert own.or_else(all_of_them) == Sighting((-36.9, 174.8), None, 60)
    assert Sighting(None, None, 7).or_else(all_of_them) == Sighting((-41.3, 174.8), 500, 7)
    assert NOTHING.or_else(all_of_them) == all_of_them
