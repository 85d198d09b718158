"""`python -m ml STAGE --spec FILE`: every stage ends in the same way, and loads nothing of the others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from ml.__main__ import SPECS, main
from ml.specificity import stage
from tests.ml.specificity_fixtures import calibrate_spec


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("train", {"ml.serving", "ml.specificity.stage"}),
        ("calibrate", {"torch", "ml.networks", "ml.training", "ml.serving"}),
        ("register", {"ml.training", "ml.specificity.stage"}),
    ],
)
def test_a_stage_loads_nothing_of_the_others(name: str, absent: set[str]) -> None:
    program = (
        "import json, sys; from ml.__main__ import main\n"
        "try: main([sys.argv[1], '--spec', 'absent.json'])\n"
        "finally: print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, name], capture_output=True, text=True, check=True)
    assert done.stderr == "error: cannot read absent.json: No such file or directory\n"
    assert not absent & set(json.loads(done.stdout))


@pytest.mark.parametrize("name", SPECS)
def test_a_specification_that_cannot_be_read_is_told_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.json").write_text("{", encoding="utf-8")
    assert main([name, "--spec", str(tmp_path / "spec.json")]) == 1
    assert capsys.readouterr().err == f"error: cannot read {tmp_path}/spec.json: it is cut short or no JSON\n"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MlflowException("no\nstore"), "error: MLflow at {uri} did not take the run: no store\n"),
        (OSError(28, "No space left on device", "p.npy"), "error: [Errno 28] No space left on device: 'p.npy'\n"),
    ],
)
def test_what_a_stage_raises_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, told: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(stage, "run", fails)
    spec = calibrate_spec(tmp_path)
    assert spec.tracking is not None
    capsys.readouterr()
    assert main(["calibrate", "--spec", str(spec.write(tmp_path / "spec.json"))]) == 1
    assert capsys.readouterr().err == told.format(uri=spec.tracking.uri)
