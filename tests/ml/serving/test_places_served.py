"""Places and dates asked of the served model: in process, over HTTP, and as its signature says."""

import base64
from typing import Any, cast

import mlflow
import pytest
from fastapi.testclient import TestClient
from mlflow.exceptions import MlflowException

from ml.serving.register import DISTRIBUTIONS, signature
from tests.ml.gps import placed
from tests.ml.placed import FAR, HOMES
from tests.ml.serving.test_model import Model, client
from tests.ml.serving.test_signature import check
from tests.ml.specificity_fixtures import release

__all__ = ["client"]

HOME = list(HOMES[0][:2])
PHOTO = placed(when="2026:11:02 06:07:08")


@pytest.fixture(scope="module")
def model() -> Model:
    spec, result = release(places=True)
    assert spec.tracking is not None
    mlflow.set_tracking_uri(spec.tracking.uri)
    mlflow.set_registry_uri(spec.tracking.uri)
    return cast("Model", mlflow.pyfunc.load_model(f"models:/{result.model_name}@challenger"))


def test_each_parameter_says_more_of_where_and_when(model: Model) -> None:
    asked: list[dict[str, Any]] = [
        {}, {"date": "2025-01-20"}, {"place": HOME}, {"place": HOME, "date": "2025-01-20"}, {"exif": True},
        {"exif": True, "place": HOME}, {"place": list(FAR)},
    ]  # fmt: skip
    cases = [model.predict([PHOTO], params=params)[0]["prior"]["case"] for params in asked]
    assert cases == ["neither", "neither", "place", "place_and_date", "place_and_date", "place_and_date", "neither"]
    (wide,), (exact,) = (
        model.predict([PHOTO], params={"place": HOME, "uncertainty_m": metres}) for metres in (200_000, 10)
    )
    assert wide["top"][0]["probability"] != exact["top"][0]["probability"]


@pytest.mark.parametrize("params", [{}, {"place": HOME, "date": "2025-01-20"}, {"place": list(FAR)}, {"exif": True}])
def test_an_answer_is_what_the_signature_says(model: Model, params: dict[str, Any]) -> None:
    (answer,) = model.predict([PHOTO], params={**params, "embedding": True})
    outputs = signature().outputs
    assert outputs is not None
    described: list[dict[str, Any]] = outputs.to_dict()
    check(answer, {"type": "object", "properties": {each["name"]: each for each in described}}, where="answer")


def test_over_http_places_are_parameters_as_all_others(model: Model, client: TestClient) -> None:
    params = {"place": HOME, "date": "2025-01-20"}
    body = {"inputs": [base64.b64encode(PHOTO).decode()], "params": params}
    answered = client.post("/invocations", json=body)
    assert answered.json() == {"predictions": model.predict([PHOTO], params=params)}
    refused = client.post("/invocations", json={**body, "params": {"place": [174.8, -41.3]}})
    assert refused.status_code == 400
    assert "did you mean -41.3,174.8?" in refused.text


def test_what_is_no_place_is_refused_in_a_sentence(model: Model) -> None:
    with pytest.raises(MlflowException, match="write a date as in 2024-05-17"):
        model.predict([PHOTO], params={"place": HOME, "date": "May"})


def test_a_version_is_pinned_to_what_looks_places_up() -> None:
    assert "scipy" in DISTRIBUTIONS
