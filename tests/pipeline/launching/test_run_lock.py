"""One run of a scope at a time: a second one waits or is told who runs, and a killed one holds nobody up."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from pipeline.errors import LockedError
from pipeline.launching import pools
from pipeline.launching.run_lock import data_root_of, only_run
from pipeline.paths import PROJECT_ROOT

HOLD = """
import pathlib, sys, time
from pipeline.launching.run_lock import only_run
with only_run(pathlib.Path(sys.argv[1]), who="a run with the log here.log", wait_seconds=5):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def another_run(data_root: Path) -> Iterator[subprocess.Popen[str]]:
    """A real process that holds the lock; it is killed after the block."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", HOLD, str(data_root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_command_is_told_who_runs_since_when_and_where_to_look(tmp_path: Path) -> None:
    with another_run(tmp_path) as other:
        with pytest.raises(LockedError) as refused, only_run(tmp_path, who="mine", wait_seconds=0.3):
            pytest.fail("two runs at once")
        assert f"a run with the log here.log, process {other.pid} on " in str(refused.value)
        assert " since 20" in str(refused.value)
        # The other scope is free.
        with only_run(tmp_path / "another scope", who="mine", wait_seconds=0.0):
            pass


def test_a_run_that_waits_begins_when_the_other_is_killed(tmp_path: Path) -> None:
    with another_run(tmp_path) as other:
        told: list[str] = []

        def look(holder: str) -> None:
            told.append(holder)
            other.send_signal(signal.SIGKILL)

        with only_run(tmp_path, who="mine", wait_seconds=math.inf, look=look):
            assert other.wait(timeout=5) == -signal.SIGKILL
    assert told[0].startswith("a run with the log here.log, process ")


def test_what_holds_the_lock_may_begin_a_run_within_it(tmp_path: Path) -> None:
    with only_run(tmp_path, who="a command", wait_seconds=0.0):
        with only_run(tmp_path, who="its run", wait_seconds=0.0):
            pass
        assert (tmp_path / ".run.lock").read_text().startswith("a command, process ")
        with pytest.raises(LockedError), only_run_elsewhere(tmp_path):
            pytest.fail("the inner run has released it")


@contextlib.contextmanager
def only_run_elsewhere(data_root: Path) -> Iterator[None]:
    """As another process would: this one's own locks are not known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.launching.run_lock._held", set())
        with only_run(data_root, who="another", wait_seconds=0.0):
            yield


def test_the_file_that_the_launchpad_names_decides_where_a_run_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.yaml").write_text(f"name: other\ndata_root: {tmp_path}/other\n")
    named = {"resources": {"scope": {"config": {"config_file": str(tmp_path / "other.yaml")}}}}
    assert data_root_of(named) == tmp_path / "other"
    monkeypatch.setenv("THE_FILE", str(tmp_path / "other.yaml"))
    named["resources"]["scope"]["config"]["config_file"] = {"env": "THE_FILE"}  # type: ignore[assignment]
    assert data_root_of(named) == tmp_path / "other"
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path / "usual"))
    assert data_root_of({}) == tmp_path / "usual"


@dg.asset
def made() -> None:
    """Stands for a step."""


JOB = dg.Definitions(assets=[made]).resolve_implicit_global_asset_job_def()


def test_a_run_of_dagster_waits_for_a_command_says_so_and_hears_a_request_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path / "data"))
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance, another_run(tmp_path / "data") as other:
        run = instance.create_run_for_job(JOB, status=dg.DagsterRunStatus.STARTED)
        asked = threading.Event()
        monkeypatch.setattr(pools, "check_captured_interrupt", asked.is_set)
        threading.Timer(0.5, asked.set).start()
        began = time.monotonic()
        claims = pools.MultiprocessSlotClaims(instance, run)
        with pytest.raises(DagsterExecutionInterruptedError), claims:
            pytest.fail("two runs at once")
        assert time.monotonic() - began < 5
        said = [event.message for event in instance.all_logs(run.run_id) if "waits for another run" in event.message]
        assert len(said) == 1
        assert f"process {other.pid} on " in said[0]
        asked.clear()
        other.kill()
        with pools.MultiprocessSlotClaims(instance, run):
            holder = (tmp_path / "data" / ".run.lock").read_text()
        assert holder.startswith(f"run {run.run_id[:8]} of Dagster's job {run.job_name}, process {os.getpid()} on ")
