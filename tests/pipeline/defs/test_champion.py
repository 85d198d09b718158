"""The asset `champion` and the job `promote`, in real runs of Dagster against a real registry."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from mlflow.tracking import MlflowClient

from pipeline.config.settings import Settings, load_settings
from pipeline.definitions import defs
from pipeline.defs.champion import PromoteConfig, champion
from pipeline.defs.scope_resource import Scope
from pipeline.exam.decision import Decision
from pipeline.registry.promotion import champion_of
from pipeline.tracking.runs import client
from pipeline.tracking.tags import GATE, PROMOTED_BY
from tests.mlflow_stores import empty_store


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "scope.yaml"
    file.write_text(f"name: birds\ndata_root: {tmp_path / 'data'}\n")
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(file))
    settings = load_settings()
    empty_store(settings.paths.mlflow_database)
    return settings


@pytest.fixture
def versions(scope: Settings) -> list[str]:
    """Two versions that can be served and passed; the second is the challenger."""
    connected: MlflowClient = client(scope)
    name, numbers = scope.registry.model_name, []
    connected.create_registered_model(name)
    for number in (1, 2):
        folder = scope.paths.mlflow_artifacts / "models" / f"m-{number}" / "artifacts"
        folder.mkdir(parents=True)
        (folder / "MLmodel").touch()
        version = connected.create_model_version(name, source=folder.as_uri(), tags={GATE: "passed"})
        numbers.append(str(version.version))
        connected.set_registered_model_alias(name, "challenger", version.version)
    return numbers


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def decide(scope: Settings, *, challenger: str, champion: str | None, passed: bool) -> None:
    Decision(
        challenger=challenger, champion=champion, exam=1, passed=passed, reasons=("top-1 80.0 %.",), target=0.9
    ).write(scope.paths)


def current(scope: Settings) -> str | None:
    found = champion_of(scope)
    return None if found is None else str(found.version)


def test_the_asset_makes_the_challenger_champion_and_shows_why(
    scope: Settings, versions: list[str], instance: dg.DagsterInstance
) -> None:
    decide(scope, challenger=versions[1], champion=None, passed=True)
    done = dg.materialize([champion], instance=instance, resources={"scope": Scope()})
    (event,) = done.asset_materializations_for_node("champion")
    assert current(scope) == versions[1]
    assert event.metadata["decision"].value == "top-1 80.0 %."
    assert event.metadata["version"].value == f"naturewatch {versions[1]}"
    tags = client(scope).get_model_version("naturewatch", versions[1]).tags
    assert tags[PROMOTED_BY] == f"the gate, Dagster run {done.run_id}"


def test_the_asset_keeps_the_champion_of_a_challenger_that_was_refused(
    scope: Settings, versions: list[str], instance: dg.DagsterInstance
) -> None:
    client(scope).set_registered_model_alias("naturewatch", "champion", versions[0])
    decide(scope, challenger=versions[1], champion=versions[0], passed=False)
    done = dg.materialize([champion], instance=instance, resources={"scope": Scope()})
    (event,) = done.asset_materializations_for_node("champion")
    assert event.metadata["promoted"].value == "no"
    assert current(scope) == versions[0]


def test_without_any_champion_a_refused_challenger_fails_the_step(
    scope: Settings, versions: list[str], instance: dg.DagsterInstance
) -> None:
    decide(scope, challenger=versions[1], champion=None, passed=False)
    done = dg.materialize([champion], instance=instance, resources={"scope": Scope()}, raise_on_error=False)
    assert not done.success
    assert current(scope) is None


def test_the_job_promotes_the_version_of_its_configuration(
    scope: Settings, versions: list[str], instance: dg.DagsterInstance
) -> None:
    config = dg.RunConfig(ops={"promote_version": PromoteConfig(version=versions[0], why="a survey", pin="until June")})
    done = defs.resolve_job_def("promote").execute_in_process(instance=instance, run_config=config)
    assert done.success
    assert current(scope) == versions[0]
    (event,) = done.asset_materializations_for_node("promote_version")
    assert event.metadata["decision"].value == "a survey; pinned: until June"


def test_the_job_must_be_told_a_reason() -> None:
    assert PromoteConfig.to_fields_dict()["why"].is_required
