"""A version whose copy of `ml` has other modules than this one: its artifacts are read, and its own code answers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException

from ml.child.pipes import Reporter
from ml.serving.identify import main as identify
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
