"""A version whose copy of `ml` has other modules than this one: its artifacts are read, and its own code answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.exceptions import MlflowException

from ml.child.pipes import Reporter
from ml.identify.command import main as identify
from ml.networks.network import load
from ml.serving.answering import Answering, Looks
from ml.serving.question import Question
from ml.serving.register import run
from tests.ml.specificity_fixtures import Copied, photograph_bytes, release

SERVING = """
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from mlflow.types.type_hints import TypeFromExample

from ml import invocations
from ml.answering import Answering


class Identifier(PythonModel):
    def load_context(self, context):
        self.answering = Answering(context.artifacts)
        invocations.hand_over_unchanged()

    def predict(self, context, model_input: TypeFromExample, params=None):
        return self.answering.answers(model_input)


set_model(Identifier())
"""
ANSWERING = """
from pathlib import Path


class Answering:
    def __init__(self, artifacts):
        self.network = Path(artifacts["network"]).name

    def answers(self, photographs):
        return [{"taxon": f"by {self.network}"} for _ in photographs]
"""

NETWORK = {
    "backbone": "tf_efficientnet_lite0", "classes": 4, "rank": "species", "image_size": 64, "views": [1.0],
    "split_after": None, "merge_after": None, "fusion": "average", "auxiliary": False, "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5], "dropout": 0.2, "batch_norm_momentum": None, "batch_norm_eps": None,
}  # fmt: skip
"""`network.json` as versions have it."""
CALIBRATION = {
    "mlflow_run_id": "b68c9b7ae681495a884ad7a2df784830", "target": 0.9, "threshold": 0.58, "calibration_accuracy": 0.9,
    "calibration_depth": 6.3, "calibration_photos": 107, "evaluation_accuracy": 0.89, "evaluation_accuracy_low": 0.82,
    "evaluation_accuracy_high": 0.94, "evaluation_depth": 6.2, "evaluation_photos": 118, "abstention_rate": 0.0,
    "curve": "operating_curve.parquet", "thresholds": "thresholds.parquet", "by_target": "by_target.parquet",
    "report": "operating_points.md", "figures": {"Reliability of the stated probabilities": "reliability.png"},
    "temperature": 1.0, "delta": None, "calibration_error": 0.09,
    "points": [
        {"target": 0.8, "threshold": 0.14, "reachable": True, "accuracy": 0.78, "accuracy_low": 0.69,
         "accuracy_high": 0.85, "depth": 6.9, "abstention": 0.0, "guaranteed": False},
    ],
    "groups": [
        {"taxon": "others", "taxon_key": None, "threshold": 0.58, "reachable": True, "calibration_photos": 107,
         "evaluation_photos": 118, "accuracy": 0.89, "accuracy_low": 0.82, "accuracy_high": 0.94, "depth": 6.2},
    ],
    "watch": [
        {"taxon": "Animalia", "node_id": 1, "threshold": 0.1, "basis": "taxon", "calibration_photos": 60,
         "evaluation_photos": 60, "recall": 0.97, "false_alarms": 0.1},
    ],
    "watch_unknown": [],
}  # fmt: skip
"""`result.json` of the calibration as versions have it."""
THRESHOLDS = {
    "target": [0.8, 0.9], "group_node_id": [0, 0], "group_taxon_key": pa.nulls(2), "threshold": [0.14, 0.58],
    "reachable": [True, True],
}  # fmt: skip
"""`thresholds.parquet` as versions have it."""


@pytest.fixture
def flat(tmp_path: Path) -> Copied:
    """A registered version with a package `ml` without folders; its artifacts are those of any version."""
    copied = Copied(tmp_path / "copy")
    artifacts = copied.model / "artifacts"
    shutil.rmtree(artifacts / "code")
    package = artifacts / "code" / "ml"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "invocations.py").write_text("def hand_over_unchanged(): pass\n", encoding="utf-8")
    (package / "answering.py").write_text(ANSWERING, encoding="utf-8")
    (artifacts / "model.py").unlink()
    (artifacts / "serving.py").write_text(SERVING, encoding="utf-8")
    description = (artifacts / "MLmodel").read_text(encoding="utf-8")
    assert "/ml/serving/model.py" in description
    (artifacts / "MLmodel").write_text(description.replace("/ml/serving/model.py", "/ml/serving.py"), encoding="utf-8")
    return copied


def test_identify_answers_with_its_artifacts(flat: Copied, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kea.jpg").write_bytes(photograph_bytes())
    answers = []
    for uri in (flat.uri, release()[0].tracking.uri):
        registry = ["--tracking-uri", uri, "--model-name", "tiny", "--alias", "challenger"]
        assert identify([str(tmp_path / "kea.jpg"), "--json", *registry]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]


def test_a_new_process_answers_with_its_code_though_this_one_is_installed(flat: Copied) -> None:
    program = (
        "import sys, json, mlflow\nprint(json.dumps(mlflow.pyfunc.load_model(sys.argv[1]).predict([b'a photograph'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(flat.model / "artifacts")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [{"taxon": "by network.json"}]


def test_a_process_that_has_imported_another_ml_is_told_to_use_a_new_one(flat: Copied) -> None:
    with pytest.raises(MlflowException, match="load it in a new process, before anything imports ml"):
        mlflow.pyfunc.load_model(str(flat.model / "artifacts"))


def test_it_is_its_specifications_version(flat: Copied, tmp_path: Path) -> None:
    assert flat.problem() is None
    told: list[str] = []
    spec = flat.spec.model_copy(update={"output": tmp_path / "out"})
    assert run(spec, reporter=Reporter(told.append)).version == "1"
    assert told == ["tiny version 1 is this specification already"]


def test_the_documents_that_versions_carry_are_read(tmp_path: Path) -> None:
    spec, _ = release()
    (tmp_path / "network.json").write_text(json.dumps(NETWORK), encoding="utf-8")
    assert load(tmp_path / "network.json", spec.weights).spec.classes == 4
    (tmp_path / "result.json").write_text(json.dumps(CALIBRATION), encoding="utf-8")
    table = pa.table(THRESHOLDS).replace_schema_metadata({"group_depth": "0"})
    pq.write_table(table, tmp_path / "thresholds.parquet")
    answering = Answering.read(
        {"taxonomy": str(spec.taxonomy), "specificity": str(tmp_path / "result.json"),
         "thresholds": str(tmp_path / "thresholds.parquet")}
    )  # fmt: skip
    assert answering.plan(Question()).thresholds.tolist() == [0.58]
    assert answering.plan(Question(target=0.8)).thresholds.tolist() == [0.14]
    looks = Looks(np.full((1, 4), 0.25), np.zeros((1, 1280), np.float32))
    assert answering.answers(looks, answering.plan(Question()))[0]["novelty"] is None
