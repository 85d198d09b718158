"""Slots of Dagster's pools: those of killed runs are freed; waiting for one is reported, bounded and interruptible.

Dagster frees the slots of a run that has ended, but a killed run cannot report its end. Dagster's run monitoring
notices this only for runs that its own launcher started, not for `naturewatch run`, which needs no daemon. And while a
pool is full, Dagster's executors ask for a slot again and again without a pause (`interval_to_next_pending_claim_check`
is never above 0) and with signals captured.
"""

import contextlib
import fcntl
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.executor import in_process, multiprocess
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._utils.interrupts import check_captured_interrupt

from pipeline.errors import PoolError
from pipeline.launching.run_lock import data_root_of, only_run

PROCESS_TAG: Final = "naturewatch.process"
"""Tag of a run: its process and host, for people."""
WAIT_SECONDS: Final = 600.0
"""How long a step waits for a slot that another run holds."""
SAY_SECONDS: Final = 60.0
"""Between two messages about it."""
LOOK_SECONDS: Final = 1.0
"""Between two checks of who holds it."""
PAUSE_SECONDS: Final = 0.1
"""Between two claims of an executor."""


def set_slots(instance: dg.DagsterInstance, pool: str, slots: int) -> None:
    """Give a pool this many slots, unless a person chose another number: in the UI, or as the default of all pools."""
    storage, key = instance.event_log_storage, f"naturewatch.slots.{pool}"
    limit = next((each for each in storage.get_pool_limits() if each.name == pool), None)
    ours = instance.run_storage.get_cursor_values({key}).get(key)
    if limit is None or limit.from_default:
        if slots == 1 or instance.global_op_concurrency_default_limit != 1:
            return
    elif limit.limit == slots or str(limit.limit) != ours:
        return
    storage.set_concurrency_slots(pool, slots)
    instance.run_storage.set_cursor_values({key: str(slots)})


def this_process() -> str:
    """This process, for people."""
    return f"process {os.getpid()} on {platform.node()}"


@contextlib.contextmanager
def alive(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold a lock for the run while the block runs; the system releases it when the process ends, however it ends.

    Unlike a process number, a lock is right in every container that mounts the folder of the instance.
    """
    path = _lock_file(instance, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def end_killed(instance: dg.DagsterInstance, run_ids: set[str]) -> set[str]:
    """Of these runs, mark those that were killed as failed, free their slots, and return them."""
    gone = {run_id for run_id in run_ids if _is_gone(instance, run_id)}
    for run_id in gone:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, message="The process of this run was killed; the next one goes on from it.")
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
        _lock_file(instance, run_id).unlink(missing_ok=True)
    return gone


def end_killed_runs(instance: dg.DagsterInstance) -> None:
    """Mark all runs as failed that were killed, and free the slots that they and finished runs still hold."""
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    end_killed(instance, {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=statuses))})
    for pool in instance.event_log_storage.get_concurrency_keys():
        end_killed(instance, _holders(instance, pool))


def _lock_file(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "naturewatch" / f"{run_id}.lock"


def _is_gone(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the process of a run has ended; runs without a lock are left to Dagster's own run monitoring."""
    try:
        with _lock_file(instance, run_id).open("r") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return True
        if run.parent_run_id is not None:
            # Dagster copies the tags of a run to its re-execution, which has no process yet.
            parent = instance.get_run_by_id(run.parent_run_id)
            if parent is None or parent.tags.get(PROCESS_TAG) == run.tags.get(PROCESS_TAG):
                return False
        # A database server may be shared with other machines, and their locks cannot be seen here.
        return PROCESS_TAG in run.tags and isinstance(instance.event_log_storage, SqliteEventLogStorage)
    return True


def _holders(instance: dg.DagsterInstance, pool: str) -> set[str]:
    """The runs that hold a slot of the pool, or are the next to get one."""
    info = instance.event_log_storage.get_concurrency_info(pool)
    assigned = {step.run_id for step in info.pending_steps if step.assigned_timestamp is not None}
    return assigned | {slot.run_id for slot in info.claimed_slots}


class SlotClaims(InstanceConcurrencyContext):
    """Dagster's own way to claim slots, with a pause, a message and a time limit while a pool is full."""

    interrupts: ClassVar[bool] = True
    """Whether a signal ends the wait here; the multiprocess executor handles signals itself."""

    def __init__(self, instance: dg.DagsterInstance, dagster_run: dg.DagsterRun) -> None:
        super().__init__(instance, dagster_run)
        self._run = dagster_run
        self._looked = 0.0
        self._said: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Claim a slot as Dagster does; if the pool is full, check who holds it, report that, and pause.

        Raises:
            PoolError: other runs held the pool for all of `WAIT_SECONDS`.
        """
        if super().claim(concurrency_key, step_key, step_priority):
            self._began.pop(step_key, None)
            return True
        if self.interrupts and check_captured_interrupt():
            raise DagsterExecutionInterruptedError
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look(concurrency_key, step_key, now=now)
        time.sleep(PAUSE_SECONDS)
        return False

    def _look(self, pool: str, step_key: str, *, now: float) -> None:
        others = _holders(self._instance, pool) - {self._run.run_id}
        if end_killed(self._instance, others):
            # A slot was freed: claim again at once.
            self._pending_timeouts[step_key] = 0.0
            return
        if not others:
            # Another step of this run holds it, and will free it.
            self._began.pop(step_key, None)
            return
        began = self._began.setdefault(step_key, now)
        names = " and ".join(sorted(_described(self._instance, run_id) for run_id in others))
        if now - began > WAIT_SECONDS:
            raise PoolError(
                f"{step_key} has waited {WAIT_SECONDS / 60:.0f} minutes for a slot of Dagster's pool {pool}, which is "
                f"held by {names}: wait until it has ended, or end it, and run the same command again"
            )
        if now - self._said.get(step_key, -SAY_SECONDS) >= SAY_SECONDS:
            self._said[step_key] = now
            message = f"{step_key} waits for a slot of Dagster's pool {pool}, held by {names}"
            self._instance.report_engine_event(message, self._run)
            sys.stderr.write(f"naturewatch: {message} (at most {WAIT_SECONDS / 60:.0f} minutes)\n")


class MultiprocessSlotClaims(SlotClaims):
    """The claims of a run that the UI, a schedule or a sensor started, made in the process that starts its steps."""

    interrupts = False

    def __enter__(self) -> Self:  # noqa: D105 (as its base)
        self._alive = contextlib.ExitStack()
        self._alive.enter_context(alive(self._instance, self._run.run_id))
        # Once the lock is held: without it, a run that says its process counts as killed.
        self._instance.add_run_tags(self._run.run_id, {PROCESS_TAG: this_process()})
        try:
            who = f"run {self._run.run_id[:8]} of Dagster's job {self._run.job_name}"
            root = data_root_of(self._run.run_config)
            self._alive.enter_context(only_run(root, who=who, wait_seconds=math.inf, look=self._wait_for_run))
        except BaseException:
            self._alive.close()
            raise
        return super().__enter__()

    def _wait_for_run(self, holder: str) -> None:
        """Say every minute which run of the scope this one waits for, and hear a request to end."""
        if check_captured_interrupt():
            raise DagsterExecutionInterruptedError
        now = time.monotonic()
        if now - self._said.get("", -SAY_SECONDS) >= SAY_SECONDS:
            self._said[""] = now
            self._instance.report_engine_event(f"waits for another run of this scope to end: {holder}", self._run)

    def __exit__(  # noqa: D105 (as its base)
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exc_type, exc_value, traceback)
        self._alive.close()


def _described(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    where = run.tags.get(PROCESS_TAG) if run is not None else None
    return f"run {run_id[:8]}" + (f" ({where})" if where else "")


def install() -> None:
    """Make Dagster's executors claim slots this way; they look the class up by name in their own modules."""
    in_process.InstanceConcurrencyContext = SlotClaims  # type: ignore[attr-defined]
    multiprocess.InstanceConcurrencyContext = MultiprocessSlotClaims  # type: ignore[attr-defined]
