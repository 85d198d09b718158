"""A failed run is told to people: which, why and where to look, whoever started it."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline.definitions import defs
from pipeline.defs.alerts import alerts
from pipeline.defs.scope_resource import SCOPE_TAG, Scope, record_of
from pipeline.errors import IncompleteFetchError
from pipeline.launching.pools import PROCESS_TAG
from tests.pipeline.listeners import Chat, serving


@dg.asset
def photos() -> None:
    raise IncompleteFetchError("photos.example closed:\n400 of 800 photographs are missing; again at 18:00")


@dg.asset
def exam_answers() -> None:
    """What the gate judges."""


@dg.asset_check(asset=exam_answers, blocking=True)
def gate() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, metadata={"broken": dg.MetadataValue.md("- top1 fell by 0.03")})


JOB = dg.Definitions(assets=[photos, exam_answers], asset_checks=[gate]).resolve_implicit_global_asset_job_def()


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    """A chat that the configuration names."""
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path / "data"))
    with serving(Chat()) as server:
        monkeypatch.setenv("NATUREWATCH__ALERTS__WEBHOOK", server.address)
        yield server


class Daemon:
    """What evaluates the sensor: each tick goes on where the last one ended."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self._cursor: str | None = None

    def tick(self) -> tuple[str, list[str]]:
        """Why the tick did nothing, and the errors of the messages that it tried to send."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self._cursor, resources={"scope": Scope()}, repository_def=None
        ) as context:
            found = alerts.evaluate_tick(context)
        self._cursor = found.cursor
        errors = [each.error.message for each in found.dagster_run_reactions or () if each.error is not None]
        return found.skip_message or "", errors


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Switched on before anything fails: what failed earlier is not told."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Daemon(instance)
        made.tick()
        yield made


def fail(instance: dg.DagsterInstance, name: str, **tags: str) -> str:
    """A run in which this asset fails, or its check."""
    result = JOB.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(name)], raise_on_error=False, tags=tags
    )
    assert not result.success
    return result.run_id


def test_a_failed_step_is_told_once_with_its_reason_and_the_address_of_the_run(chat: Chat, daemon: Daemon) -> None:
    run_id = fail(daemon.instance, "photos", **{SCOPE_TAG: "nz-birds", PROCESS_TAG: "process 7 on lab"})
    assert daemon.tick() == ("", [])
    daemon.tick()
    assert chat.messages == [
        {
            "text": f"NatureWatch nz-birds: run {run_id[:8]} failed\n"
            "- photos: photos.example closed: 400 of 800 photographs are missing; again at 18:00\n"
            f"started by: command\nhttp://127.0.0.1:3000/runs/{run_id}"
        }
    ]


def test_a_model_that_the_gate_refuses_is_told_with_the_reason(chat: Chat, daemon: Daemon) -> None:
    fail(daemon.instance, "exam_answers", **{"dagster/schedule_name": "weekly_refresh"})
    daemon.tick()
    (message,) = chat.messages
    assert "\n- exam_answers: the check gate failed: - top1 fell by 0.03\n" in message["text"]
    assert "started by: schedule weekly_refresh" in message["text"]


def test_a_killed_run_is_told(chat: Chat, daemon: Daemon) -> None:
    run = daemon.instance.create_run_for_job(JOB, status=dg.DagsterRunStatus.STARTED)
    daemon.instance.report_run_failed(run, message="The process of this run was killed; the next one goes on from it.")
    assert daemon.tick() == ("", [])
    assert "\n- The process of this run was killed; the next one goes on from it.\n" in chat.messages[0]["text"]


def test_a_message_that_could_not_be_sent_is_an_error_of_the_tick(chat: Chat, daemon: Daemon) -> None:
    chat.answers = [404]
    fail(daemon.instance, "photos")
    _, (error,) = daemon.tick()
    assert "NoticeError: people could not be told of this: NatureWatch sample: run " in error
    assert "SECRET" not in error


def test_without_anybody_to_tell_the_sensor_is_off_and_says_so(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    assert defs.resolve_sensor_def("alerts").default_status == dg.DefaultSensorStatus.STOPPED
    monkeypatch.delenv("NATUREWATCH__ALERTS__WEBHOOK", raising=False)
    fail(daemon.instance, "photos")
    assert daemon.tick()[0] == "the configuration names nobody to tell: see its section alerts"


def test_the_address_of_a_chat_is_not_kept_with_a_run(chat: Chat, daemon: Daemon) -> None:
    @dg.asset
    def reads(scope: Scope) -> None:
        scope.settings()

    made = dg.materialize([reads], instance=daemon.instance, resources={"scope": Scope()})
    kept = record_of(daemon.instance, made.run_id).read_text()
    assert json.loads(kept)["settings"]["name"] == "sample"
    assert "SECRET" not in kept
