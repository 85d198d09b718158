"""Places in Dagster's pools: those of killed runs are given back; waiting is said, idle, bounded and interruptible.

Dagster knows of a run only what the run itself has reported, so that one that was killed keeps its places; and its
executors ask a full pool over and over without a pause, with signals switched off.
"""

import contextlib
import fcntl
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

PROCESS_TAG: Final = "naturewatch.process"
"""Tag of the runs of `naturewatch run`: where they live, for people."""
WAIT_SECONDS: Final = 600.0
"""How long a run waits for a place that another run holds."""
SAY_SECONDS: Final = 60.0
"""Between two lines about it."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at who holds it."""
PAUSE_SECONDS: Final = 0.1
"""Between two questions of an executor."""


def this_process() -> str:
    """This process, for people."""
    return f"process {os.getpid()} on {platform.node()}"


@contextlib.contextmanager
def alive(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Show for the time of the block that the run lives, by a lock that the system takes back when its process ends.

    Unlike a process number it tells the truth in every container that mounts the folder of the instance.
    """
    path = _lock_file(instance, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def bury(instance: dg.DagsterInstance, run_ids: set[str]) -> set[str]:
    """Of these runs, end in Dagster's books those whose process is gone, give back their places, and name them."""
    gone = {run_id for run_id in run_ids if _is_gone(instance, run_id)}
    for run_id in gone:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, message="The process of this run was killed; the next one goes on from it.")
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
        _lock_file(instance, run_id).unlink(missing_ok=True)
    return gone


def bury_killed_runs(instance: dg.DagsterInstance) -> None:
    """End the runs that were killed, and give back what they and finished runs still hold."""
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    bury(instance, {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=statuses))})
    for pool in instance.event_log_storage.get_concurrency_keys():
        bury(instance, _holders(instance, pool))


def _lock_file(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "naturewatch" / f"{run_id}.lock"


def _is_gone(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the process of a run has ended; a run of which nothing is known is left to Dagster's own monitoring."""
    try:
        with _lock_file(instance, run_id).open("r") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return True
        # A database elsewhere may be shared with machines whose locks are not seen here.
        return PROCESS_TAG in run.tags and isinstance(instance.event_log_storage, SqliteEventLogStorage)
    return True


def _holders(instance: dg.DagsterInstance, pool: str) -> set[str]:
    """The runs that hold a place in the pool, or are the next to get one."""
    info = instance.event_log_storage.get_concurrency_info(pool)
    assigned = {step.run_id for step in info.pending_steps if step.assigned_timestamp is not None}
    return assigned | {slot.run_id for slot in info.claimed_slots}


class Places(InstanceConcurrencyContext):
    """Dagster's side of a run that asks for places, with patience."""

    interrupts: ClassVar[bool] = True
    """Whether a signal ends the waiting here; the multiprocess executor looks for signals itself."""

    def __init__(self, instance: dg.DagsterInstance, dagster_run: dg.DagsterRun) -> None:
        super().__init__(instance, dagster_run)
        self._run = dagster_run
        self._looked = 0.0
        self._said: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Ask for a place as Dagster does; without success look who is in the way, say it, and pause.

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
        if bury(self._instance, others):
            # Ask again at once.
            self._pending_timeouts[step_key] = 0.0
            return
        if not others:
            # Another step of this run holds it, and ends in its own time.
            self._began.pop(step_key, None)
            return
        began = self._began.setdefault(step_key, now)
        names = " and ".join(sorted(_described(self._instance, run_id) for run_id in others))
        if now - began > WAIT_SECONDS:
            raise PoolError(
                f"{step_key} has waited {WAIT_SECONDS / 60:.0f} minutes for a place in Dagster's pool {pool}, which is "
                f"held by {names}: wait for it to end, or end it, and run the same command again"
            )
        if now - self._said.get(step_key, -SAY_SECONDS) >= SAY_SECONDS:
            self._said[step_key] = now
            message = f"{step_key} waits for a place in Dagster's pool {pool}, held by {names}"
            self._instance.report_engine_event(message, self._run)
            sys.stderr.write(f"naturewatch: {message} (at most {WAIT_SECONDS / 60:.0f} minutes)\n")


class MultiprocessPlaces(Places):
    """The same for a run that the UI, a schedule or a sensor started, in the process that starts its steps."""

    interrupts = False

    def __enter__(self) -> Self:  # noqa: D105 (as its base)
        self._alive = contextlib.ExitStack()
        self._alive.enter_context(alive(self._instance, self._run.run_id))
        return super().__enter__()

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
    """Make Dagster's executors ask for places with patience; they find the class by its name in their modules."""
    in_process.InstanceConcurrencyContext = Places  # type: ignore[attr-defined]
    multiprocess.InstanceConcurrencyContext = MultiprocessPlaces  # type: ignore[attr-defined]
