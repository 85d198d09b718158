"""Each training has GPUs of its own: found without torch, taken by locks, waited for in words, freed by the kernel."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.spec import DEVICE_LOCKS
from pipeline.errors import PoolError
from pipeline.launching import gpus as module
from pipeline.launching import pools
from pipeline.launching.gpus import VISIBLE, decoding_workers, gpus, may_have_gpus, reserved, slots
from pipeline.paths import PROJECT_ROOT
from tests.pipeline.cards import DIVIDED, MIG_1, MIG_2, PAIR, SINGLE, A, B, C, nvidia_smi


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of its own, whose driver shows two cards."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(module, "DRIVER", tmp_path / "no driver")
    monkeypatch.setattr(pools, "LOOK_SECONDS", 0.02)
    monkeypatch.delenv(VISIBLE, raising=False)
    nvidia_smi(PAIR, folder=tmp_path / "bin", monkeypatch=monkeypatch)


def names(environment: dict[str, str] | None = None) -> list[str]:
    return [each.name for each in (gpus() if environment is None else gpus(environment))]


def identifiers(visible: str) -> list[str]:
    return [each.identifier for each in gpus({VISIBLE: visible})]


def test_the_drivers_tool_says_which_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names() == [A, B]
    nvidia_smi(DIVIDED, folder=tmp_path / "bin", monkeypatch=monkeypatch)
    assert names() == [MIG_1, MIG_2, C], "the parts of a divided GPU, and a whole one"


def test_without_the_tool_the_driver_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert names() == []
    assert not may_have_gpus()
    for bus, uuid in (("0000:0b:00.0", B), ("0000:0a:00.0", A)):
        folder = tmp_path / "driver" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t NVIDIA H100\nIRQ:   \t\t 16\nGPU UUID: \t {uuid}\n")
    monkeypatch.setattr(module, "DRIVER", tmp_path / "driver")
    assert names() == [A, B]
    assert may_have_gpus()


def test_a_tool_that_fails_finds_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi("", folder=tmp_path / "bin", monkeypatch=monkeypatch, status=9)
    assert names() == []


def test_the_operators_choice_is_kept_in_its_order_and_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names({VISIBLE: "1,0"}) == ["1", "0"]
    assert identifiers("1,0") == [B, A]
    assert identifiers(f" {B[:8]} ") == [B]
    assert identifiers("") == []
    assert identifiers("0,-1,1") == [A], "as in CUDA, nothing counts after what is no GPU"
    assert identifiers("0,7") == [A]
    assert identifiers("GPU-") == [], "the beginning of several"
    nvidia_smi(DIVIDED, folder=tmp_path / "bin", monkeypatch=monkeypatch)
    assert identifiers(f"{MIG_2},1") == [MIG_2, C]
    assert identifiers("0") == [MIG_1], "CUDA shows the first part"


@pytest.mark.parametrize(("processes", "expected"), [(1, 2), (2, 1), (3, 1)])
def test_trainings_side_by_side_are_gpus_by_processes(processes: int, expected: int) -> None:
    assert slots(processes=processes) == expected
    assert slots(processes=processes, environment={VISIBLE: ""}) == 1, "the processor is one"


@pytest.mark.parametrize(
    ("said", "processes", "cores", "expected"),
    [
        (PAIR, 1, 16, 7),
        (PAIR, 1, 2, 1),
        (PAIR, 2, 16, None),
        (SINGLE, 1, 16, None),
        (DIVIDED, 1, 16, 4),
        ("", 1, 16, None),
    ],
)
def test_trainings_side_by_side_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, processes: int, cores: int, expected: int | None
) -> None:
    nvidia_smi(said, folder=tmp_path, monkeypatch=monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert decoding_workers(processes=processes, environment={}) == expected


def test_two_trainings_have_different_gpus_and_a_third_waits_and_says_for_what(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "WAIT_SECONDS", 0.2)
    heard: list[str] = []
    with held("nz: baseline") as first, held("birds: multi_view") as second:
        assert (first[VISIBLE], second[VISIBLE]) == (A, B)
        with pytest.raises(PoolError) as refused, held("mine: genus_stage", heard=heard):
            pass
    (message,) = heard
    assert message.startswith("mine: genus_stage waits for a free GPU of 2, held by nz: baseline (process ")
    assert f"; birds: multi_view (process {os.getpid()} on " in message
    assert "has waited 0 minutes for a free GPU of 2" in str(refused.value)
    assert "nz: baseline" in str(refused.value)
    assert "run the same command again" in str(refused.value)
    with held("again") as free:
        assert free[VISIBLE] == A


@contextlib.contextmanager
def held(what: str, *, processes: int = 1, heard: list[str] | None = None) -> Iterator[dict[str, str]]:
    with reserved(processes=processes, what=what, say=(heard if heard is not None else []).append) as variables:
        yield variables


def test_several_processes_have_a_gpu_each_or_wait_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "WAIT_SECONDS", 0.1)
    with held("both", processes=2) as both:
        assert both[VISIBLE] == f"{A},{B}"
        assert len(both[DEVICE_LOCKS].split(os.pathsep)) == 2
    heard: list[str] = []
    with held("one"):
        with (
            pytest.raises(PoolError, match="for 2 free GPUs of 2; the others are held by one"),
            held("both", processes=2, heard=heard),
        ):
            pass
        with held("another") as other:
            assert other[VISIBLE] == B, "who waits for two keeps none meanwhile"
    assert "both" not in heard[0].partition("held by")[2], "it does not wait for itself"


def test_more_processes_than_gpus_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(PoolError, match=r"processes is 3, and trainings can use 2 GPUs here; lower it$"),
        held("", processes=3),
    ):
        pass
    monkeypatch.setenv(VISIBLE, "0")
    with pytest.raises(PoolError, match=f"use one GPU here; lower it, or change {VISIBLE}"), held("", processes=2):
        pass
    monkeypatch.setenv(VISIBLE, f"{MIG_1},{MIG_2}")
    nvidia_smi(DIVIDED, folder=tmp_path / "bin", monkeypatch=monkeypatch)
    with pytest.raises(PoolError, match="use 2 GPUs here, which are parts"), held("", processes=2):
        pass


def test_without_a_gpu_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "")
    with held("on the processor", processes=4) as one, held("another") as other:
        assert one == other == {}


HOLDER = """
import sys, time
from pipeline.launching import gpus
with gpus.reserved(processes=1, what="to be killed", say=print) as variables:
    print(variables[gpus.VISIBLE], flush=True)
    time.sleep(600)
"""


def test_a_killed_launcher_frees_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(SINGLE, folder=tmp_path / "bin", monkeypatch=monkeypatch)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=os.environ, cwd=PROJECT_ROOT
    )
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline().strip() == A
        heard: list[str] = []

        def hear(message: str) -> None:
            heard.append(message)
            holder.send_signal(signal.SIGKILL)

        with reserved(processes=1, what="next", say=hear) as variables:
            assert variables[VISIBLE] == A
    assert "held by to be killed (process" in heard[0]


def test_a_gpu_is_not_free_while_what_a_killed_launcher_started_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "WAIT_SECONDS", 0.1)
    with held("launcher") as variables:
        pipe = tmp_path / "spec"
        os.mkfifo(pipe)
        # It waits for its specification, as a training that computes.
        child = subprocess.Popen(
            [sys.executable, "-m", "ml", "calibrate", "--spec", str(pipe)],
            env={**os.environ, **variables, "PYTHONPATH": str(PROJECT_ROOT)},
        )
        writing = pipe.open("w", encoding="utf-8")
    with held("next") as others:
        assert others[VISIBLE] == B, "the launcher has gone, its training has not"
        with pytest.raises(PoolError, match="held by launcher"), held("third"):
            pass
    child.kill()
    child.wait()
    writing.close()
    deadline = time.monotonic() + 10
    with held("last") as again:
        assert again[VISIBLE] == A
    assert time.monotonic() < deadline


def test_files_can_be_locked_by_every_account(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with held("private by default"):
            modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob("naturewatch-*")}
    finally:
        os.umask(before)
    assert modes == {0o666}
