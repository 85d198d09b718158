"""One command from nothing to a champion, and a second one that finds everything done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from pipeline.dataset.manifest import content_hash
from tests.e2e.conftest import TABLES, Road, road_environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    road = Road(road_environment(folder), log=folder / "run.log")
    assert road.wait() == 0, road.tail()
    return folder


def _manifest(folder: Path) -> dict[str, object]:
    manifest: dict[str, object] = json.loads((folder / "data" / "tables" / "dataset.json").read_text())
    return manifest


def _client(folder: Path) -> MlflowClient:
    store = f"sqlite:///{folder}/data/mlflow.db"
    return MlflowClient(tracking_uri=store, registry_uri=store)


def test_it_ends_with_a_champion_that_carries_its_provenance(undisturbed: Path) -> None:
    version = _client(undisturbed).get_model_version_by_alias("naturewatch", "champion")
    assert version.tags["naturewatch.split_hash"] == _manifest(undisturbed)["split_hash"]
    assert version.tags["gbif.doi"].startswith("10.")
    assert version.tags["gbif.download_key"]


def test_it_prints_the_table_of_results_and_where_to_look(undisturbed: Path) -> None:
    printed = (undisturbed / "run.log").read_text()
    for expected in ("one view (baseline)", "accuracy at target", "naturewatch ui", "naturewatch identify"):
        assert expected in printed


def test_runs_are_nested_below_the_dataset_version(undisturbed: Path) -> None:
    client = _client(undisturbed)
    experiment = client.get_experiment_by_name("naturewatch")
    assert experiment is not None
    runs = {run.data.tags["naturewatch.stage"]: run for run in client.search_runs([experiment.experiment_id])}
    networks = {"baseline", "baseline_matched", "multi_view", "knowledge_transfer"}
    calibrations = {f"specificity_{network}" for network in networks}
    assert set(runs) == {"dataset", *networks, "genus_stage", *calibrations, "comparison", "candidate"}
    parent = runs.pop("dataset")
    assert parent.inputs is not None
    assert {entry.dataset.name for entry in parent.inputs.dataset_inputs} >= set(TABLES) - {"photo_index"}
    for run in runs.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["dagster.run_url"].startswith("http")
        assert run.info.status == "FINISHED"


def test_the_champion_identifies_a_photograph(undisturbed: Path) -> None:
    photograph = next((undisturbed / "data" / "photos").glob("*/*.jpg"))
    answer = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "identify", str(photograph), "--json"],
        env=road_environment(undisturbed),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    (identified,) = json.loads(answer.stdout)
    assert identified["lineage"]
    assert 0 <= identified["probability"] <= 1


def test_a_second_run_changes_nothing_and_trains_nothing(undisturbed: Path) -> None:
    data = undisturbed / "data"
    before = {name: content_hash(data / "tables" / f"{name}.parquet") for name in TABLES}
    (weights,) = data.glob("models/baseline/*/weights.safetensors")
    written = weights.stat().st_mtime_ns
    road = Road(road_environment(undisturbed), log=undisturbed / "again.log")
    assert road.wait() == 0, road.tail()
    assert {name: content_hash(data / "tables" / f"{name}.parquet") for name in TABLES} == before
    assert list(data.glob("models/baseline/*/weights.safetensors")) == [weights]
    assert weights.stat().st_mtime_ns == written
    versions = _client(undisturbed).search_model_versions("name = 'naturewatch'")
    assert len(versions) == 1
