"""The served model: every form of a photograph, every parameter, and clear refusals; in process and over HTTP."""

import base64
import io
import tracemalloc
from pathlib import Path
from typing import Any, Protocol, cast

import mlflow
import numpy as np
import pytest
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

TEXT = base64.b64encode(photograph_bytes()).decode()


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
