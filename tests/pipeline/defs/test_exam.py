"""The asset `exam_answers` and its check `gate`, in real runs of Dagster; the child's answers are the test's."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from mlflow.tracking import MlflowClient

from ml.spec import RESULT_FILE, ExamResult, ExamSpec
from pipeline.config.settings import Settings, load_settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.defs import checks, exam
from pipeline.defs.champion import champion
from pipeline.defs.scope_resource import Scope
from pipeline.exam.decision import read_decision
from pipeline.failures import Failures
from pipeline.registry.promotion import champion_of
from pipeline.tracking.runs import client, experiment_id
from pipeline.tracking.tags import GATE
from tests.mlflow_stores import empty_store
from tests.pipeline import tiny
from tests.pipeline.exam.answered import answers, mistaken, write_tree


@pytest.fixture
def scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    file = tmp_path / "scope.yaml"
    file.write_text(f"name: birds\ndata_root: {tmp_path / 'data'}\n")
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(file))
    settings = load_settings()
    empty_store(settings.paths.mlflow_database)
    write_tree(settings)
    row = dict.fromkeys(("photo_id", "occurrence_key", "observation_id", "species_key", "species", "path"), "1")
    tiny.write(settings.paths, "exam", [{**row, "since": 2}])
    manifest = DatasetManifest(
        scope="birds",
        dataset_version="v1",
        split_hash="s",
        taxonomy_hash="t",
        table_hashes={},
        counts={},
        rejections={},
    )
    settings.paths.dataset_manifest.write_text(manifest.model_dump_json())
    return settings


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Version -> share of photographs that it is wrong about."""
    wrong: dict[str, float] = {}

    def child(*, spec: Path, output: Path, stage: str, **_: object) -> Path:
        asked = ExamSpec.read(spec)
        found = {
            role: answers(asked.answers, version.number, wrong=mistaken(wrong[version.number]))
            for role, version in (("challenger", asked.challenger), ("champion", asked.champion))
            if version is not None
        }
        assert stage == "exam"
        ExamResult(**found).write(output / RESULT_FILE)
        return output / RESULT_FILE

    monkeypatch.setattr(exam, "run_child", child)
    return wrong


@pytest.fixture
def challenge(scope: Settings, shares: dict[str, float]) -> Callable[[float], str]:
    connected: MlflowClient = client(scope)
    name = scope.registry.model_name
    connected.create_registered_model(name)

    def register(share: float) -> str:
        number = str(len(shares) + 1)
        shares[number] = share
        folder = scope.paths.mlflow_artifacts / "models" / f"m-{number}" / "artifacts"
        folder.mkdir(parents=True)
        (folder / "MLmodel").touch()
        run = connected.create_run(experiment_id(scope, connected))
        connected.create_model_version(name, source=folder.as_uri(), run_id=run.info.run_id)
        connected.set_registered_model_alias(name, "challenger", number)
        return number

    return register


@pytest.fixture
def run() -> Iterator[Callable[[], tuple[Any, list[str]]]]:
    resources = {"scope": Scope(), "pipes": dg.PipesSubprocessClient()}
    defs = dg.Definitions([exam.exam_answers, champion], asset_checks=[checks.gate], resources=resources)
    with dg.DagsterInstance.ephemeral() as instance:

        def once() -> tuple[Any, list[str]]:
            failures = Failures()
            job = defs.resolve_implicit_global_asset_job_def().with_hooks({failures.hook()})
            result = job.execute_in_process(instance=instance, raise_on_error=False)
            return result, [] if result.success else failures.lines(result)

        yield once


def test_what_passes_is_served_and_what_is_worse_stops_the_run_with_the_reason(
    scope: Settings, challenge: Callable[[float], str], run: Callable[[], tuple[Any, list[str]]]
) -> None:
    first = challenge(0.3)
    result, lines = run()
    assert lines == []
    assert read_decision(scope).reasons[0] == f"version {first} is the first champion"
    served = champion_of(scope)
    assert served is not None
    assert (str(served.version), served.tags[GATE]) == (first, "passed")

    result, lines = run()
    assert result.success
    assert read_decision(scope).reasons == ("version 1 is the champion already",)

    second = challenge(0.4)
    result, lines = run()
    assert not result.success
    (line,) = lines
    assert line.startswith(
        "exam_answers: the check gate failed: - top-1 60.0 % against 70.0 % of version 1: -10.0 points"
    )
    served = champion_of(scope)
    assert served is not None
    assert str(served.version) == first
    name = scope.registry.model_name
    assert client(scope).get_model_version(name, second).tags[GATE] == "refused"
    (made,) = result.asset_materializations_for_node("exam_answers")
    assert made.metadata["decision"].value == "refused"
    assert "exam/exam.html" in made.metadata["page"].value
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert evaluation.blocking
    table = evaluation.metadata["metrics"].records
    assert table[0].data["metric"] == "top-1"
    assert table[0].data["change"] == "-10.0 points"
    assert json.loads(scope.paths.exam_decision.read_text())["passed"] is False

    third = challenge(0.2)
    result, lines = run()
    assert lines == []
    served = champion_of(scope)
    assert served is not None
    assert str(served.version) == third
