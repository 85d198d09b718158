"""A stage whose specification tracks nothing runs where neither MLflow nor Dagster is installed, to its result."""

import os
import subprocess
import sys
from pathlib import Path

from ml.spec import RESULT_FILE, CalibrateResult, CalibrateSpec, StageSpec, TrainResult
from tests.ml.world import World

REFUSING = """
import sys
ABSENT = {"mlflow", "dagster", "dagster_pipes", "duckdb", "pydantic_settings", "stamina"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from ml.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""`python -m ml` where these packages of the pipeline are not installed."""


def run_without(stage: str, spec: StageSpec, *, folder: Path) -> None:
    command = [sys.executable, "-c", REFUSING, stage, "--spec", str(spec.write(folder / f"{stage}.json"))]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DAGSTER")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def test_training_and_calibration_need_no_mlflow_and_no_dagster(world: World, tmp_path: Path) -> None:
    spec = world.spec(tmp_path / "model", tracking=None)
    run_without("train", spec, folder=tmp_path)
    trained = TrainResult.read(spec.output / RESULT_FILE)
    assert not trained.mlflow_run_id
    calibration = CalibrateSpec(
        network=spec.network, probabilities=trained.probabilities, predictions=trained.predictions,
        taxonomy=spec.taxonomy, output=tmp_path / "specificity", spec_hash="untracked",
    )  # fmt: skip
    run_without("calibrate", calibration, folder=tmp_path)
    assert not CalibrateResult.read(calibration.output / RESULT_FILE).mlflow_run_id
