"""The served model over HTTP: every form of a request that MLflow takes, and refusals in a sentence."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from fastapi.testclient import TestClient
from mlflow.pyfunc.scoring_server import init

from tests.ml.serving.test_model import TEXT, Model, client, model
from tests.ml.specificity_fixtures import photograph_bytes, release

__all__ = ["client", "model"]


def parquet_of(columns: dict[str, list[Any]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [TEXT]},
        {"inputs": TEXT},
        {"inputs": {"image": [TEXT]}},
        {"inputs": [f"data:image/jpeg;base64,{TEXT}"], "params": None},
        {"instances": [TEXT]},
        {"instances": [{"image": TEXT}]},
        {"instances": [{"b64": TEXT}]},
        {"dataframe_split": {"columns": ["image"], "data": [[TEXT]]}},
        {"dataframe_split": {"columns": ["id", "image"], "index": [4], "data": [["7", TEXT]]}},
        {"dataframe_split": {"data": [[TEXT]]}},
        {"dataframe_records": [{"image": TEXT}]},
        {"dataframe_records": [{"id": "7", "image": TEXT}]},
    ],
)
def test_over_http_requests_come_in_every_form_of_mlflow(
    model: Model, client: TestClient, body: dict[str, Any]
) -> None:
    answered = client.post("/invocations", json=body)
    assert answered.status_code == 200
    assert answered.json() == {"predictions": model.predict([photograph_bytes()])}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", f"id,image\r\n7,{TEXT}\r\n".encode()),
        ("text/csv; charset=utf-8", f"\ufeffphoto\n{TEXT}\n\n".encode()),
        ("application/vnd.apache.parquet", parquet_of({"id": [7], "image": [photograph_bytes()]})),
        ("application/vnd.apache.parquet", parquet_of({"photo": [TEXT]})),
        ('application/json; charset="UTF-8"', json.dumps({"inputs": [TEXT]}).encode()),
    ],
)
def test_over_http_tables_come_as_csv_and_parquet(model: Model, client: TestClient, kind: str, body: bytes) -> None:
    answered = client.post("/invocations", content=body, headers={"content-type": kind})
    assert answered.json() == {"predictions": model.predict([photograph_bytes()])}


def test_over_http_parameters_are_those_of_the_model(client: TestClient) -> None:
    told = client.post("/invocations", json={"inputs": [TEXT], "params": {"threshold": 0, "within": ["Aves"]}})
    assert told.json()["predictions"][0]["depth"] == 7
    assert client.post("/invocations", json={"inputs": []}).json() == {"predictions": []}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            {"inputs": ["bm90IGEgcGhvdG8="]},
            "photograph 0: not a photograph in one of the formats JPEG, PNG, WebP, AVIF",
        ),
        (
            {"inputs": [TEXT, "/etc/passwd"]},
            "photograph 1: not a photograph in one of the formats JPEG, PNG, WebP, AVIF",
        ),
        ({"inputs": ["/proc/kmsg"]}, "photograph 0: not a photograph in one of the formats JPEG, PNG, WebP, AVIF"),
        ({"inputs": ["file:///etc/passwd"]}, "photograph 0: not base64 text (paths and addresses are not opened)"),
        ({"inputs": [None]}, "photograph 0: there is no photograph (null)"),
        ({"inputs": [7]}, "photograph 0: a photograph must be base64 text, not a value of type int"),
        ({"inputs": [[0, 1], [2, 3]]}, "photograph 0: a photograph must be base64 text, not a value of type list"),
        ({"inputs": None}, "photographs come as a list or a table, not as null"),
        ({"inputs": [TEXT], "params": {"treshold": 0.5}}, "no parameter is called 'treshold'"),
        ({"inputs": [TEXT], "params": {"target": 90}}, "the target accuracy must lie between 0 and 1, not 90"),
        ({"inputs": [TEXT], "params": {"top": "five"}}, "top must be a whole number, not text"),
        ({"inputs": [TEXT], "params": {"within": ["Dodo"]}}, "the model knows no taxon 'Dodo'"),
        ({"inputs": [TEXT], "params": [0.5]}, "params must be an object of names and values, not a list"),
        ({"inputs": [TEXT], "parms": {}}, "the body must hold one of inputs, instances"),
        ({"inputs": [TEXT], "instances": [TEXT]}, "the body must hold one of inputs, instances"),
        ([TEXT], "the body must be a JSON object with one of inputs, instances"),
        ({"dataframe_split": {"columns": ["id", "photo"], "data": [["7", TEXT]]}}, "of 2 columns none is called image"),
        ({"dataframe_split": {"columns": ["image", "image"], "data": [[TEXT, TEXT]]}}, "2 columns are called image"),
        ({"dataframe_split": {"columns": ["id", "image"], "data": [[TEXT]]}}, "row 0 of the table has 1 cells, but"),
        ({"dataframe_split": [[TEXT]]}, "dataframe_split must be an object of columns and data"),
        ({"dataframe_records": [{"id": "7", "photo": TEXT}]}, "photograph 0: of 2 columns none is called image"),
        (f'{{"inputs": ["{TEXT}"', "the body is not JSON: "),
        (f'{{"inputs": ["{TEXT}", {"1" * 5000}]}}', "the body holds a number of too many digits"),
        ("[" * 100_000, "the body is nested too deeply"),
        (b'{"inputs": ["' + photograph_bytes() + b'"]}', "the body is not UTF-8 (byte 13)"),
    ],
)
def test_over_http_a_refusal_is_a_sentence_and_holds_nothing_of_the_request(
    client: TestClient, body: object, reason: str
) -> None:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    refused = client.post("/invocations", content=content, headers={"content-type": "application/json"})
    assert refused.status_code == 400
    assert refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert refused.json()["message"].startswith(reason)
    assert set(refused.json()) <= {"error_code", "message", "sqlstate", "error_class"}
    assert len(refused.text) < 500
    assert TEXT[:100] not in refused.text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", b""),
        ("text/csv", b'image\n"open'),
        ("text/csv", b"\xff"),
        ("application/vnd.apache.parquet", b"PAR1"),
    ],
)
def test_over_http_a_broken_table_is_refused_without_a_trace(client: TestClient, kind: str, body: bytes) -> None:
    refused = client.post("/invocations", content=body, headers={"content-type": kind})
    assert refused.status_code == 400
    assert "stack_trace" not in refused.json()


def test_over_http_other_kinds_of_bodies_are_refused(client: TestClient) -> None:
    for kind in ("image/jpeg", "text/xml", "application/json; charset=latin-1"):
        refused = client.post("/invocations", content=photograph_bytes(), headers={"content-type": kind})
        assert refused.status_code == 415
        assert refused.text.startswith("the body must be application/json, text/csv, ")


def test_other_models_are_served_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "false")
    code = tmp_path / "doubling.py"
    code.write_text(
        "from mlflow.models import set_model\n"
        "from mlflow.pyfunc import PythonModel\n"
        "class Doubling(PythonModel):\n"
        "    def predict(self, context, model_input: list[str], params=None) -> list[str]:\n"
        "        return [2 * text for text in model_input]\n"
        "set_model(Doubling())\n",
        encoding="utf-8",
    )
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=str(code), pip_requirements=["mlflow"])
    doubling = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert doubling.predict(["ab"]) == ["abab"]
    served = TestClient(init(doubling)).post("/invocations", json={"inputs": ["ab"]})
    assert served.json() == {"predictions": ["abab"]}


def test_the_server_of_mlflow_opens_no_files(tmp_path: Path) -> None:
    """What `mlflow models serve --env-manager local` starts, in a process of its own."""
    spec, result = release()
    photograph = tmp_path / "kea.jpg"
    photograph.write_bytes(photograph_bytes())
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": spec.tracking.uri,
        "__pyfunc_model_path__": f"models:/{result.model_name}@challenger",
    }
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "mlflow.pyfunc.scoring_server.app:app"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            started = next(line for line in server.stderr if "running on http" in line)
            address = started.split("running on ")[1].split()[0] + "/invocations"
            answered = requests.post(address, json={"inputs": [TEXT]}, timeout=120)
            refused = requests.post(address, json={"inputs": [str(photograph)]}, timeout=120)
        finally:
            server.terminate()
    assert answered.json()["predictions"][0]["taxon"]
    assert refused.status_code == 400
    assert refused.json()["message"] == "photograph 0: not base64 text (paths and addresses are not opened)"
