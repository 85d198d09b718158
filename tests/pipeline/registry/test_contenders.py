"""Who is judged, by aliases and tags, and what stands on the challenger afterwards."""

import datetime as dt
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from ml.spec import ExamResult
from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.exam.decision import Decision
from pipeline.exam.judgement import decide
from pipeline.registry.contenders import Contenders, contenders, record_decision
from pipeline.tracking.runs import client, experiment_id
from pipeline.tracking.tags import EXAM, GATE, GATE_REASONS, PROMOTED_AT, REPLACED
from tests.pipeline.exam.answered import answers, mistaken, write_tree

pytestmark = pytest.mark.usefixtures("with_store")
NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


@pytest.fixture
def connected(settings: Settings) -> MlflowClient:
    connected = client(settings)
    connected.create_registered_model(settings.registry.model_name)
    return connected


def register(
    settings: Settings, connected: MlflowClient, *, promoted: str | None = None, alias: str | None = None
) -> str:
    run = connected.create_run(experiment_id(settings, connected))
    name = settings.registry.model_name
    tags = {} if promoted is None else {PROMOTED_AT: promoted}
    made = connected.create_model_version(name, source=f"runs:/{run.info.run_id}/m", run_id=run.info.run_id, tags=tags)
    if alias is not None:
        connected.set_registered_model_alias(name, alias, made.version)
    return str(made.version)


def found(settings: Settings) -> Contenders:
    return contenders(settings, now=NOW)


def test_the_champions_of_the_last_year_are_compared_with(settings: Settings, connected: MlflowClient) -> None:
    register(settings, connected, promoted="2025-10-25T12:00:00+00:00")
    # Promoted more than a year ago, or by earlier code, but the champion until a later one replaced it.
    old = register(settings, connected)
    early = register(settings, connected, promoted="2025-11-27T12:00:00+00:00")
    register(settings, connected)
    late = register(settings, connected, promoted="2026-11-01T12:00:00+00:00")
    connected.set_model_version_tag(settings.registry.model_name, early, REPLACED, old)
    champion = register(settings, connected, promoted="2026-11-20T12:00:00+00:00", alias="champion")
    challenger = register(settings, connected, alias="challenger")
    versions = found(settings)
    assert versions.champion is not None
    assert (versions.challenger.number, versions.champion.number) == (challenger, champion)
    assert [version.number for version in versions.rivals] == [late, early, old]
    assert versions.challenger.identity == f"MLflow run {versions.challenger_run}"
    assert set(versions.identities) == {old, early, late, champion, challenger}


def test_without_a_champion_or_a_challenger(settings: Settings, connected: MlflowClient) -> None:
    with pytest.raises(RegistryError, match="no version under the alias challenger; materialise the asset candidate"):
        found(settings)
    register(settings, connected, alias="challenger")
    assert (found(settings).champion, found(settings).rivals) == (None, ())


def test_the_version_and_its_run_say_what_was_concluded(
    settings: Settings, connected: MlflowClient, tmp_path: Path
) -> None:
    write_tree(settings)
    number = register(settings, connected, alias="challenger")
    run_id = found(settings).challenger_run
    result = ExamResult(
        challenger=answers(tmp_path, number, wrong=mistaken(0.3)), champion=answers(tmp_path, "9", wrong=mistaken(0.2))
    )
    decision = decide(settings, result, exam=3, versions={})
    decision.write(settings.paths)
    record_decision(settings, decision, run_id=run_id, files={"exam/decision.json": settings.paths.exam_decision})
    tags = connected.get_model_version(settings.registry.model_name, number).tags
    assert (tags[GATE], tags[EXAM]) == ("refused", "3")
    assert tags[GATE_REASONS].splitlines() == list(decision.reasons)
    assert run_id is not None
    metrics = connected.get_run(run_id).data.metrics
    assert [metrics["exam/top1"], metrics["exam/change/top1"]] == pytest.approx([0.7, -0.1])
    kept = connected.download_artifacts(run_id, "exam/decision.json", str(tmp_path))
    assert Decision.model_validate_json(Path(kept).read_bytes()) == decision
