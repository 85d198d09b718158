"""The gate: a challenger becomes champion unless it falls behind, and a missing number never passes."""

import contextlib
import sqlite3
from collections.abc import Callable

import pytest
from mlflow.tracking import MlflowClient

from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.registry.gate import promote
from pipeline.tracking.runs import client, experiment_id

pytestmark = pytest.mark.usefixtures("with_store")


def challenge(
    settings: Settings, connected: MlflowClient, *, top1: float | None, split: str = "a", metric: str = "final/top1"
) -> str:
    """Register a version with this validation accuracy under the alias `challenger` and return its number."""
    run = connected.create_run(experiment_id(settings, connected))
    if top1 is not None:
        connected.log_metric(run.info.run_id, metric, top1)
    name = settings.registry.model_name
    if not connected.search_registered_models(f"name = '{name}'"):
        connected.create_registered_model(name)
    tags = {"naturewatch.split_hash": split}
    version = connected.create_model_version(
        name, source=f"runs:/{run.info.run_id}/model", run_id=run.info.run_id, tags=tags
    )
    connected.set_registered_model_alias(name, "challenger", version.version)
    return str(version.version)


@pytest.fixture
def connected(settings: Settings) -> MlflowClient:
    return client(settings)


def test_the_first_challenger_becomes_champion(settings: Settings, connected: MlflowClient) -> None:
    version = challenge(settings, connected, top1=0.5)
    decision = promote(settings)
    assert decision.promoted
    assert decision.champion == version
    champion = connected.get_model_version_by_alias("naturewatch", "champion")
    assert str(champion.version) == version


@pytest.mark.parametrize(("second", "promoted"), [(0.60, True), (0.50, True), (0.485, True), (0.47, False)])
def test_a_challenger_may_fall_behind_by_the_tolerance_and_no_more(
    settings: Settings, connected: MlflowClient, second: float, *, promoted: bool
) -> None:
    first = challenge(settings, connected, top1=0.5)
    promote(settings)
    newer = challenge(settings, connected, top1=second)
    decision = promote(settings)
    assert decision.promoted is promoted
    assert decision.champion == (newer if promoted else first)
    assert "the same validation photographs" in decision.reason


def test_a_version_whose_metrics_are_in_no_groups_is_judged_all_the_same(
    settings: Settings, connected: MlflowClient
) -> None:
    first = challenge(settings, connected, top1=0.5, metric="top1")
    promote(settings)
    challenge(settings, connected, top1=0.4)
    decision = promote(settings)
    assert (decision.promoted, decision.champion) == (False, first)


def test_the_reason_says_when_the_photographs_differ(settings: Settings, connected: MlflowClient) -> None:
    challenge(settings, connected, top1=0.5)
    promote(settings)
    challenge(settings, connected, top1=0.6, split="b")
    assert "different validation photographs" in promote(settings).reason


def test_deciding_again_changes_nothing(settings: Settings, connected: MlflowClient) -> None:
    version = challenge(settings, connected, top1=0.5)
    promote(settings)
    decision = promote(settings)
    assert not decision.promoted
    assert decision.champion == version
    assert "already" in decision.reason


def test_a_challenger_without_a_number_never_passes(
    make_settings: Callable[..., Settings], connected: MlflowClient
) -> None:
    settings = make_settings()
    challenge(settings, connected, top1=None)
    with pytest.raises(RegistryError, match="no metric final/top1"):
        promote(settings)


def test_without_a_challenger_it_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="no version under the alias challenger; materialise the asset"):
        promote(settings)


def test_a_champion_whose_files_are_gone_gives_way_whatever_its_accuracy(
    settings: Settings, connected: MlflowClient
) -> None:
    challenge(settings, connected, top1=0.9)
    promote(settings)
    lost = settings.paths.mlflow_artifacts / "models" / "m-1" / "artifacts"
    with contextlib.closing(sqlite3.connect(settings.paths.mlflow_database)) as store, store:
        store.execute("UPDATE model_versions SET storage_location = ?", (lost.as_uri(),))
    lost.mkdir(parents=True)
    (lost / "MLmodel").touch()
    newer = challenge(settings, connected, top1=0.5)
    assert not promote(settings).promoted
    (lost / "MLmodel").unlink()
    decision = promote(settings)
    assert decision.champion == newer
    assert decision.reason == f"version {newer} replaces version 1, whose files are gone"
