"""Slots of Dagster's pools: those of a killed run are freed; waiting is reported, idle, bounded, interruptible."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from pipeline.failures import Failures
from pipeline.launching import pools
from pipeline.launching.interrupts import Interrupted

POOL = "gpu"
pools.install()


@dg.asset(pool=POOL)
def trained() -> None:
    """Holds the pool's only slot for a moment."""


JOB = dg.Definitions(assets=[trained]).resolve_implicit_global_asset_job_def()


@pytest.fixture(scope="module")
def shared_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """On disk: its making is what costs."""
    overrides = {"concurrency": {"pools": {"default_limit": 1, "granularity": "op"}}}
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home")), overrides=overrides) as made:
        yield made


@pytest.fixture
def instance(
    shared_instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance whose pool is empty; its runs write to a scope of the test."""
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path / "data"))
    yield shared_instance
    for slot in shared_instance.event_log_storage.get_concurrency_info(POOL).claimed_slots:
        shared_instance.event_log_storage.free_concurrency_slots_for_run(slot.run_id)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks and pauses that do not take a test's time."""
    monkeypatch.setattr(pools, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(pools, "PAUSE_SECONDS", 0.02)


def holder(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run that has started and holds the slot."""
    run = instance.create_run_for_job(JOB, tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
    assert instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "trained").is_claimed
    return run


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def wait_for_slot(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return JOB.execute_in_process(instance=instance, raise_on_error=False)


def test_a_killed_run_of_a_host_with_another_name_frees_its_slot(instance: dg.DagsterInstance) -> None:
    killed = holder(instance, **{pools.PROCESS_TAG: "process 7 on a-container-that-was-replaced"})
    pools.end_killed_runs(instance)
    assert status(instance, killed) == dg.DagsterRunStatus.FAILURE
    assert wait_for_slot(instance).success


def test_a_re_execution_is_not_taken_for_the_killed_run_whose_tags_it_has(instance: dg.DagsterInstance) -> None:
    tags = {pools.PROCESS_TAG: "process 7 on lab-2"}
    killed = instance.create_run_for_job(JOB, tags=tags, status=dg.DagsterRunStatus.FAILURE)
    again = instance.create_run_for_job(
        JOB, tags=tags, status=dg.DagsterRunStatus.STARTING, parent_run_id=killed.run_id, root_run_id=killed.run_id
    )
    pools.end_killed_runs(instance)
    assert status(instance, again) == dg.DagsterRunStatus.STARTING
    # It has begun since then, and was killed, too.
    instance.add_run_tags(again.run_id, {pools.PROCESS_TAG: "process 8 on lab-2"})
    pools.end_killed_runs(instance)
    assert status(instance, again) == dg.DagsterRunStatus.FAILURE


def test_a_finished_or_deleted_run_frees_its_slot(instance: dg.DagsterInstance) -> None:
    finished = holder(instance)
    instance.report_run_canceled(finished)
    assert wait_for_slot(instance).success
    deleted = holder(instance)
    instance.run_storage.delete_run(deleted.run_id)
    assert wait_for_slot(instance).success


def test_a_run_of_which_nothing_is_known_is_left_alone(instance: dg.DagsterInstance) -> None:
    other = holder(instance)
    pools.end_killed_runs(instance)
    assert status(instance, other) == dg.DagsterRunStatus.STARTED
    assert instance.event_log_storage.get_concurrency_info(POOL).claimed_slots


def test_a_living_run_keeps_its_slot_and_the_next_ends_with_a_sentence_that_names_it(
    instance: dg.DagsterInstance, hurried: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pools, "WAIT_SECONDS", 0.5)
    asked = 0
    claim = InstanceConcurrencyContext.claim

    def counted(*arguments: object, **named: object) -> bool:
        nonlocal asked
        asked += 1
        return claim(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(InstanceConcurrencyContext, "claim", counted)
    living = holder(instance, **{pools.PROCESS_TAG: "process 7 on lab-2"})
    with pools.alive(instance, living.run_id):
        result = wait_for_slot(instance)
    (line,) = Failures().lines(result)
    assert f"Dagster's pool gpu, which is held by run {living.run_id[:8]} (process 7 on lab-2)" in line
    assert "run the same command again" in line
    assert capsys.readouterr().err.count("trained waits for a slot of Dagster's pool gpu") == 1
    assert asked < 0.5 / 0.02 + 5, "it pauses between two questions"
    assert status(instance, living) == dg.DagsterRunStatus.STARTED
    queue = instance.event_log_storage.get_concurrency_info(POOL).pending_steps
    assert {step.run_id for step in queue} <= {living.run_id}, "it has left the queue"


def at_first_look(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once the run waits."""
    look = pools.SlotClaims._look
    acts = [act]

    def looked(*arguments: Any, **named: Any) -> None:  # noqa: ANN401
        look(*arguments, **named)
        if acts:
            acts.pop()()

    monkeypatch.setattr(pools.SlotClaims, "_look", looked)


def test_a_slot_is_taken_as_soon_as_its_holder_is_killed(
    instance: dg.DagsterInstance, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = holder(instance, **{pools.PROCESS_TAG: "process 7 on lab-2"})
    lock = contextlib.ExitStack()
    lock.enter_context(pools.alive(instance, living.run_id))
    # The system takes the lock back when a process ends.
    at_first_look(monkeypatch, lock.close)
    assert wait_for_slot(instance).success
    assert status(instance, living) == dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_hears_a_signal(
    instance: dg.DagsterInstance, hurried: None, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    living = holder(instance)
    at_first_look(monkeypatch, lambda: os.kill(os.getpid(), number))
    with pools.alive(instance, living.run_id):
        result = wait_for_slot(instance)
    with pytest.raises(Interrupted):
        Failures().lines(result)


def test_a_step_that_waits_for_another_step_of_its_run_is_not_told_to_give_up(
    instance: dg.DagsterInstance, hurried: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pools, "WAIT_SECONDS", 0.0)
    run = holder(instance)
    with pools.MultiprocessSlotClaims(instance, run) as claims:
        for _ in range(5):
            assert not claims.claim(POOL, "another")
            time.sleep(0.02)
    assert not capsys.readouterr().err


def test_a_run_that_dagster_started_shows_that_it_lives(instance: dg.DagsterInstance) -> None:
    run = holder(instance, **{pools.PROCESS_TAG: "process 7 on lab-2"})
    with pools.MultiprocessSlotClaims(instance, run):
        assert not pools.end_killed(instance, {run.run_id})
    assert pools.end_killed(instance, {run.run_id})
