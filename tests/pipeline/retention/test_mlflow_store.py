"""Versions behind an MLflow server: their files go through it, and the run stays in its bin."""

from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.retention.mlflow_store import read_runs, read_versions, remove_version
from pipeline.tracking.runs import client, experiment_id
from tests.mlflow_stores import forget_artifacts, mlflow_server


def test_a_version_behind_a_server_goes_with_its_files(tmp_path: Path) -> None:
    registry = {"model_name": "behind a server", "tracking_uri": mlflow_server()}
    settings = Settings(name="far", data_root=tmp_path, registry=registry)
    connected = client(settings)
    forget_artifacts()
    run = connected.create_run(experiment_id(settings, connected), tags={"naturewatch.scope": "far"})
    connected.log_text(run.info.run_id, "words", "card/card.md")
    connected.create_registered_model("behind a server")
    for _ in range(2):
        connected.create_model_version("behind a server", f"runs:/{run.info.run_id}/card", run.info.run_id)
    remove_version(settings, connected, "1")
    assert [path.path for path in connected.list_artifacts(run.info.run_id)] == ["card"]
    remove_version(settings, connected, "2")
    remove_version(settings, connected, "2")
    assert [each for each in read_versions(connected) if each.model == "behind a server"] == []
    assert connected.list_artifacts(run.info.run_id) == []
    assert connected.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    assert read_runs(settings, connected) == []
