"""The signature that MLflow shows of a version is what it answers, and what may be asked."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from ml.serving.answering import Looks
from ml.serving.question import Question
from ml.serving.register import signature
from tests.ml.serving.answerings import version

TYPES = {"string": str, "double": float, "long": int, "boolean": bool}


def check(value: Any, described: dict[str, Any], *, where: str) -> None:  # noqa: ANN401
    """Fail unless a value is what MLflow's description says, with all that it names and nothing else."""
    if value is None:
        assert not described.get("required", True), where
    elif described["type"] == "array":
        for item in value:
            check(item, described["items"], where=f"{where}[]")
    elif described["type"] == "object":
        properties = described["properties"]
        assert set(value) == set(properties), where
        for name, item in value.items():
            check(item, properties[name], where=f"{where}.{name}")
    else:
        assert type(value) is TYPES[described["type"]], where


@pytest.mark.parametrize(
    ("row", "question"),
    [
        ([0.61, 0.35, 0.03, 0.01], Question(embedding=True, watch=("Aves",))),
        ([0.4, 0.1, 0.1, 0.4], Question(embedding=True, within=("Plantae",), threshold=1)),
        ([0.97, 0.01, 0.01, 0.01], Question(embedding=True, target=0.99, top=0)),
    ],
)
def test_an_answer_is_what_the_signature_says(row: list[float], question: Question) -> None:
    served = version()
    looks = Looks(np.array([row]), np.ones((1, 3), np.float32))
    (answer,) = served.answers(looks, served.plan(question))
    outputs = signature().outputs
    assert outputs is not None
    described: list[dict[str, Any]] = outputs.to_dict()
    properties = {column["name"]: column for column in described}
    check(answer, {"type": "object", "properties": properties}, where="answer")


def test_what_may_be_asked_is_the_question() -> None:
    params = signature().params
    assert params is not None
    assert {param.name for param in params.params} == {field.name for field in fields(Question)}
