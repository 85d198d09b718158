"""The served model: every form of a photograph, every parameter, and clear refusals; in process and over HTTP."""

import base64
import io
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any, Protocol, cast

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from fastapi.testclient import TestClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import init
from PIL import Image
from scipy.special import softmax

from ml.networks.network import load
from ml.serving.classifier import Classifier
from ml.spec import CalibrateResult
from ml.specificity.novelty import Novelty
from ml.specificity.operating_points import OperatingCurve
from tests.ml.specificity_fixtures import photograph_bytes, release


class Model(Protocol):
    """What is used of mlflow.pyfunc.PyFuncModel; importing that would warn about MLflow's own types."""

    def predict(self, data: object, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Answers, one per photograph."""
        ...


@pytest.fixture(scope="module")
def model() -> Model:
    spec, result = release()
    mlflow.set_tracking_uri(spec.tracking.uri)
    mlflow.set_registry_uri(spec.tracking.uri)
    return cast("Model", mlflow.pyfunc.load_model(f"models:/{result.model_name}@challenger"))


def test_an_answer_says_what_how_sure_and_along_which_lineage(model: Model) -> None:
    (answer,) = model.predict([photograph_bytes()], params={"threshold": 0.3})
    assert {"taxon", "rank", "taxon_key", "depth", "probability", "threshold", "lineage", "top"} <= set(answer)
    assert len(answer["lineage"]) == answer["depth"]
    assert answer["lineage"][-1]["name"] == answer["taxon"]
    assert answer["lineage"][-1]["probability"] == pytest.approx(answer["probability"])
    probabilities = [step["probability"] for step in answer["lineage"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(answer["top"]) == 4
    assert sum(species["probability"] for species in answer["top"]) == pytest.approx(1)


def test_bytes_base64_and_a_path_are_the_same_photograph(model: Model, tmp_path: Path) -> None:
    content = photograph_bytes()
    (tmp_path / "photo.jpg").write_bytes(content)
    text = base64.b64encode(content).decode()
    path = tmp_path / "photo.jpg"
    forms = [content, text, f"data:image/jpeg;base64,{text}", str(path), path]
    first, *others = model.predict(forms)
    assert others == [first] * 4


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_colour_modes_of_jpeg_are_answered(model: Model, mode: str) -> None:
    assert model.predict([photograph_bytes(mode=mode)])[0]["taxon"]


def test_a_rotated_photograph_is_answered_like_an_upright_one(model: Model) -> None:
    upright = Image.open(io.BytesIO(photograph_bytes(form="PNG")))
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(stream, format="PNG", exif=exif)
    turned, straight = model.predict([stream.getvalue(), photograph_bytes(form="PNG")])
    assert turned == straight


def test_the_default_threshold_is_the_calibrated_one(model: Model) -> None:
    spec, _ = release()
    assert model.predict([photograph_bytes()])[0]["threshold"] == CalibrateResult.read(spec.specificity).threshold


def test_a_target_becomes_the_threshold_of_the_stored_curve(model: Model) -> None:
    spec, _ = release()
    curve = OperatingCurve.read(CalibrateResult.read(spec.specificity).curve)
    (answer,) = model.predict([photograph_bytes()], params={"target": 0.8})
    assert answer["threshold"] == curve.threshold[curve.choose(0.8)]


def test_within_rules_out_everything_else(model: Model) -> None:
    params = {"within": ["Plantae"], "threshold": 0.99, "top": 1}
    (answer,) = model.predict([photograph_bytes()], params=params)
    assert answer["taxon"] == "Morus alba"
    assert answer["probability"] == pytest.approx(1)
    assert [species["name"] for species in answer["top"]] == ["Morus alba"]


def test_a_target_between_two_of_the_table_gets_the_higher_one(model: Model) -> None:
    between, higher = (model.predict([photograph_bytes()], params={"target": target})[0] for target in (0.843, 0.85))
    assert between["threshold"] == higher["threshold"]


def test_a_watched_taxon_is_reported_whatever_the_filter_says(model: Model) -> None:
    """The filter rules every plant out; the mulberry's mass is that of the whole photograph all the same."""
    spec, _ = release()
    (open_to_all,) = model.predict([photograph_bytes()], params={"threshold": 0.0})
    (filtered,) = model.predict([photograph_bytes()], params={"threshold": 0.0, "within": ["Aves"]})
    (watched,) = filtered["watch"]
    assert watched["lineage"] == "Plantae > Tracheophyta > Magnoliopsida > Rosales > Moraceae > Morus"
    assert filtered["watch"] == open_to_all["watch"]
    mulberry = next(species for species in open_to_all["top"] if species["name"] == "Morus alba")
    assert watched["probability"] == pytest.approx(mulberry["probability"])
    assert all(species["probability"] == 0 for species in filtered["top"] if species["name"] == "Morus alba")
    (alarm,) = CalibrateResult.read(spec.specificity).watch
    assert watched["threshold"] == alarm.threshold
    assert watched["alarm"] == (watched["probability"] >= alarm.threshold)


def test_novelty_is_answered_whatever_the_filter_says(model: Model) -> None:
    spec, _ = release()
    (answer,) = model.predict([photograph_bytes()])
    (filtered,) = model.predict([photograph_bytes()], params={"within": ["Aves"]})
    (whole,) = model.predict([photograph_bytes()], params={"embedding": True})
    kept = CalibrateResult.read(spec.specificity).novelty
    assert kept is not None
    embedding = np.array([whole["embedding"]], dtype=np.float32)
    assert answer["novelty"] == filtered["novelty"] == Novelty.read(kept).judge(embedding)[0]
    assert 0 < answer["novelty"]["known"] <= 1


def test_an_embedding_is_answered_where_it_is_asked_for(model: Model, client: TestClient) -> None:
    spec, _ = release()
    (plain,) = model.predict([photograph_bytes()])
    first, second = model.predict([photograph_bytes(), photograph_bytes(mode="L")], params={"embedding": True})
    assert plain.items() <= model.predict([photograph_bytes()], params={"embedding": True})[0].items()
    assert "embedding" not in plain
    network = load(spec.network, spec.weights)
    classifier = Classifier({"network": str(spec.network), "weights": str(spec.weights)})
    looks = classifier.look([classifier.views(photograph_bytes()), classifier.views(photograph_bytes(mode="L"))])
    assert [len(first["embedding"]), len(second["embedding"])] == [network.head.in_features] * 2
    assert np.allclose([first["embedding"], second["embedding"]], looks.embeddings)
    weight, bias = (numbers.detach().numpy() for numbers in (network.head.weight, network.head.bias))
    logits = np.array([first["embedding"]]) @ weight.T + bias
    assert np.allclose(softmax(logits, axis=1), looks.probabilities[:1], atol=1e-5)
    told = client.post("/invocations", json={"inputs": [TEXT], "params": {"embedding": True}}).json()["predictions"]
    assert np.allclose(told[0]["embedding"], first["embedding"], atol=1e-5)


def test_the_literal_reading_does_not_condition(model: Model) -> None:
    everything = {"within": ["Plantae"], "threshold": 0.99, "top": 4}
    (literal,) = model.predict([photograph_bytes()], params={**everything, "renormalise": False})
    assert literal["taxon"] == "Life"
    (free,) = model.predict([photograph_bytes()], params={"threshold": 0.99, "top": 4})
    named = {species["name"]: species["probability"] for species in free["top"]}
    assert {species["name"]: species["probability"] for species in literal["top"]} == {
        name: pytest.approx(probability if name == "Morus alba" else 0) for name, probability in named.items()
    }


def test_a_region_of_interest_is_looked_at_alone_by_a_network_of_one_view(model: Model) -> None:
    # Left the photograph itself, right another: the region decides which of them is seen.
    picture = Image.open(io.BytesIO(photograph_bytes(form="PNG"))).convert("RGB")
    both = Image.new("RGB", (2 * picture.width, picture.height), "white")
    both.paste(picture, (0, 0))
    stream = io.BytesIO()
    both.save(stream, format="PNG")
    whole = {"region": [0.0, 0.0, 1.0, 1.0]}
    (seen,) = model.predict([stream.getvalue()], params={"region": [0.0, 0.0, 0.5, 1.0]})
    (alone,) = model.predict([photograph_bytes(form="PNG")], params=whole)
    (both_seen,) = model.predict([stream.getvalue()], params=whole)
    # Resampling blends the outermost pixels with what lies beyond the region.
    assert seen["top"][0]["probability"] == pytest.approx(alone["top"][0]["probability"], abs=0.005)
    assert both_seen["top"][0]["probability"] != pytest.approx(alone["top"][0]["probability"], abs=0.005)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"within": ["Dodo"]}, "knows no taxon 'Dodo'"),
        ({"within": ["Morus"]}, "stands for several"),
        ({"threshold": 2.0}, r"must lie in \[0, 1\]"),
        ({"target": 0.9, "threshold": 0.9}, "not both"),
        ({"target": 1.0}, "between 0 and 1"),
        ({"region": [0.1, 0.2]}, "left, upper, right and lower edge, not 2 numbers"),
        ({"region": [0.5, 0.0, 0.4, 1.0]}, "as fractions of the photograph"),
        ({"target": 0.9999}, "no threshold of this model reaches an accuracy of 100.0%; the most is 99.9%"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(model: Model, params: dict[str, Any], reason: str) -> None:
    with pytest.raises(MlflowException, match=reason):
        model.predict([photograph_bytes()], params=params)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (b"", "photograph 1: the file is empty"),
        (b"GIF89a not a photograph", "photograph 1: not a photograph"),
        (photograph_bytes()[:400], "photograph 1: a damaged photograph"),
        ("/no/such/photo.jpg", r"photograph 1 \(/no/such/photo.jpg\): neither an existing file nor base64"),
        ("http://127.0.0.1/photo.jpg", "neither an existing file"),
        (7, "must be bytes, base64 text or a path"),
    ],
)
def test_a_bad_photograph_is_named_by_its_position(model: Model, item: object, reason: str) -> None:
    with pytest.raises(MlflowException, match=reason):
        model.predict([photograph_bytes(), item])


def test_parameters_that_do_not_exist_are_refused(model: Model) -> None:
    with pytest.raises(MlflowException, match=r"no parameter is called 'treshold' \(did you mean threshold\?\); known"):
        model.predict([photograph_bytes()], params={"treshold": 0.5})


def test_a_table_has_its_photographs_in_the_column_image(model: Model) -> None:
    text = base64.b64encode(photograph_bytes()).decode()
    (answer,) = model.predict([text])
    for table in ({"id": ["7"], "image": [text]}, [{"id": 7, "image": text}], {"photo": [text]}):
        assert model.predict(table) == [answer]
    with pytest.raises(MlflowException, match="of 2 columns none is called image"):
        model.predict({"id": ["7"], "photo": [text]})


def test_a_model_can_be_loaded_so_that_it_opens_no_files(tmp_path: Path) -> None:
    _, result = release()
    path = tmp_path / "kea.jpg"
    path.write_bytes(photograph_bytes())
    careful = mlflow.pyfunc.load_model(f"models:/{result.model_name}@challenger", model_config={"paths": False})
    for named in (path, str(path)):
        with pytest.raises(MlflowException, match="photograph 0: ") as refused:
            careful.predict([named])
        assert str(path) not in str(refused.value)
    assert careful.predict([photograph_bytes()])


def test_a_request_takes_the_memory_of_one_photograph(model: Model) -> None:
    """40 photographs of 3 MB of pixels each, and what decoding one of them needs beside."""
    photograph = photograph_bytes(size=(1000, 1000))
    tracemalloc.start()
    try:
        assert len(model.predict([photograph] * 40, params={"top": 0})) == 40
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000


@pytest.fixture
def client(model: Model, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """MLflow's scoring server around the model, in this process."""
    # The server marks its process for good.
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "false")
    return TestClient(init(cast("Any", model)))


TEXT = base64.b64encode(photograph_bytes()).decode()


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
