"""A registration that is killed at any moment is completed by the next one: one version, one model, an ended run."""

import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow.tracking import MlflowClient

from ml.serving.register import run, unusable
from ml.spec import RegisterSpec
from tests.ml.specificity_fixtures import QUIET, release
from tests.mlflow_stores import EXPERIMENT, empty_store

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own, from logging a model; Python's, from forking


@pytest.fixture
def spec(tmp_path: Path) -> RegisterSpec:
    """The specification of `release`, for an empty store."""
    given, _ = release()
    empty_store(tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracking = given.tracking.model_copy(update={"uri": uri, "experiment": EXPERIMENT})
    return given.model_copy(update={"tracking": tracking, "output": tmp_path / "out"})


def killed_before(method: str, spec: RegisterSpec) -> None:
    """Register in a process that is killed when it is about to call a method of MLflow's client."""

    def die(*_arguments: object, **_named: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        setattr(MlflowClient, method, die)
        try:
            run(spec, reporter=QUIET)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def left_by_the_killed_one(client: MlflowClient, experiment: str, *, but: str) -> list[Path]:
    """Folders of models of this experiment, other than one."""
    (model,) = client.search_logged_models([experiment])
    folder = Path(urlsplit(model.artifact_location).path).parent.parent
    return [
        file.parent
        for file in folder.glob("*/artifacts/MLmodel")
        if f"run_id: {model.source_run_id}" in file.read_text() and file.parent.parent.name != but
    ]


WRITES = ["finalize_logged_model", "create_model_version", "set_terminated", "set_registered_model_alias"]
"""What a registration calls, in this order."""


@pytest.mark.parametrize("method", WRITES)
def test_the_next_run_completes_it(spec: RegisterSpec, method: str) -> None:
    killed_before(method, spec)
    done = run(spec, reporter=QUIET)
    client = MlflowClient(tracking_uri=spec.tracking.uri, registry_uri=spec.tracking.uri)
    (version,) = client.search_model_versions(f"name = '{spec.model_name}'")
    assert str(version.version) == done.version == "1"
    assert client.get_model_version_by_alias(spec.model_name, "challenger").version == version.version
    assert unusable(client, version, spec=spec) is None
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (tracked,) = client.search_runs([experiment.experiment_id])
    assert tracked.info.status == "FINISHED"
    assert tracked.info.run_id == done.mlflow_run_id == version.run_id
    assert tracked.data.metrics["final/top1"] == 0.5
    (model,) = client.search_logged_models([experiment.experiment_id])
    assert model.model_uri == version.source
    assert not left_by_the_killed_one(client, experiment.experiment_id, but=model.model_id)
