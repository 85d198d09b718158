"""MLflow's server may be away for a moment; nothing else is tried again by Dagster."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from pipeline.config.settings import Settings
from pipeline.definitions import defs
from pipeline.defs import mlflow_runs
from pipeline.failures import Failures

Make = Callable[..., Settings]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_runs, "PAUSE_SECONDS", 0.01)


def run(settings: Settings, tries: list[int], *, then: Callable[[], object] = lambda: None) -> list[str]:
    """An asset that needs MLflow; the lines of its failure, or none."""

    @dg.asset
    def logged() -> None:
        tries.append(1)
        try:
            mlflow_runs.mlflow_answers(settings)
        finally:
            then()

    failures = Failures()
    job = dg.Definitions(assets=[logged]).resolve_implicit_global_asset_job_def().with_hooks({failures.hook()})
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    return [] if result.success else failures.lines(result)


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_a_server_that_comes_back_is_waited_for(make_settings: Make) -> None:
    tries: list[int] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        settings = make_settings(registry={"tracking_uri": f"http://127.0.0.1:{listener.getsockname()[1]}"})
        assert run(settings, tries, then=listener.listen) == []
    assert len(tries) == 2


def test_a_server_that_stays_away_ends_the_step_with_its_address(make_settings: Make) -> None:
    tries: list[int] = []
    with closed_port() as port:
        settings = make_settings(registry={"tracking_uri": f"http://127.0.0.1:{port}"})
        (line,) = run(settings, tries)
    assert line.startswith(f"logged: the MLflow server at 127.0.0.1:{port} cannot be reached")
    assert len(tries) == mlflow_runs.ATTEMPTS + 1


def test_no_asset_repeats_whatever_went_wrong() -> None:
    assert all(
        definition.op.retry_policy is None
        for definition in defs.assets or ()
        if isinstance(definition, dg.AssetsDefinition)
    )
