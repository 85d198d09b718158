"""Bodies are verified and stored by worker processes: a bad body, a bad worker or a bad disk harms nothing else."""

import asyncio
import contextlib
import errno
import hashlib
import os
import signal as signals
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest

from pipeline.errors import ChildError
from pipeline.photos import examine
from pipeline.photos.bodies import path_of
from pipeline.photos.examine import BATCH, BATCH_BYTES, Examined, Examiner, worker_command
from tests.pipeline.photo_server import jpeg, png

PATIENCE = 300
"""Seconds after which a state that must come is given up; no test counts on anything to happen sooner."""
ALWAYS_FULL = Path("/dev/full")
MARKER = b"a decoder fails on this"
FRAGILE = """
import argparse, functools, os, signal, time
from pathlib import Path
from pipeline.photos.verification import verify
from pipeline.photos.worker import serve
parser = argparse.ArgumentParser()
parser.add_argument("--folder", type=Path)
parser.add_argument("--memory", type=int)
parser.add_argument("--end", type=int)
options = parser.parse_args()
def judge(body):
    if b"a decoder fails on this" in body:
        os.kill(os.getpid(), options.end)
        time.sleep(3600)
    return verify(body, max_pixels=1_000_000)
serve(judge=judge, folder=options.folder, memory=options.memory)
"""


def fragile(folder: Path, signal: int) -> list[str]:
    """The command of a worker that a marked body ends by a signal."""
    return [sys.executable, "-c", FRAGILE, "--folder", str(folder), "--end", str(signal)]


Told = dict[str, Examined[str]]


class Run:
    """An examiner, and what it told."""

    def __init__(self, command: Sequence[str], group: asyncio.TaskGroup, told: Told) -> None:
        self.told = told
        self.examiner: Examiner[str] = Examiner(command=command, group=group, done=self._done)

    def _done(self, examined: Examined[str]) -> None:
        assert examined.ticket not in self.told, "each body is told of once"
        self.told[examined.ticket] = examined

    @property
    def statuses(self) -> dict[str, str]:
        return {ticket: examined.verdict.status for ticket, examined in self.told.items()}


@contextlib.asynccontextmanager
async def running(command: Sequence[str], told: Told | None = None) -> AsyncIterator[Run]:
    """An examiner for the time of the block, with all its workers gone afterwards."""
    before = set(psutil.Process().children())
    try:
        async with contextlib.AsyncExitStack() as ends, asyncio.TaskGroup() as group:
            run = Run(command, group, {} if told is None else told)
            ends.push_async_callback(run.examiner.end)
            yield run
            await run.examiner.finish()
    finally:
        assert set(psutil.Process().children()) == before, "workers were left behind"


async def examined(command: Sequence[str], bodies: dict[str, bytes], told: Told | None = None) -> Run:
    """Examine bodies; an error comes out of its groups."""
    try:
        async with running(command, told) as run:
            for ticket, body in bodies.items():
                await run.examiner.take(ticket, body)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group
    return run


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    return worker_command(folder=tmp_path, max_pixels=1_000_000)


def stored(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_every_body_gets_its_own_verdict(command: list[str], tmp_path: Path) -> None:
    bodies = {f"ok-{number}": jpeg(number) for number in range(2 * BATCH + 3)}
    others = {
        "cut": jpeg(1)[:-50],
        "png": png(),
        "html": b"<html>",
        "wide": jpeg(1, size=(2000, 600)),
        "empty": b"",
    }
    run = await examined(command, {"empty first": b"", **bodies, **others})
    assert run.statuses == {
        **dict.fromkeys(bodies, "ok"),
        "cut": "corrupt",
        "png": "not_jpeg",
        "html": "not_jpeg",
        "wide": "too_large",
        "empty": "not_jpeg",
        "empty first": "not_jpeg",
    }
    for ticket, body in bodies.items():
        told = run.told[ticket]
        assert (told.sha256, told.size) == (hashlib.sha256(body).hexdigest(), len(body))
        assert (told.verdict.width, told.verdict.height) == (64, 48)
    assert stored(tmp_path) == set(bodies.values()), "photographs are stored, and nothing else is"


async def test_only_empty_bodies_make_a_batch_too(command: list[str]) -> None:
    run = await examined(command, dict.fromkeys(("a", "b"), b""))
    assert run.statuses == {"a": "not_jpeg", "b": "not_jpeg"}


async def test_bodies_larger_than_a_batch_pass(command: list[str], tmp_path: Path) -> None:
    # Bytes after the end of the image are accepted.
    large = {str(number): jpeg(number) + bytes(size) for number, size in enumerate((BATCH_BYTES, 3_900_000, 0))}
    before_a_full_batch = {"small": jpeg(9) + bytes(BATCH_BYTES - 10_000), "largest": jpeg(8) + bytes(3_900_000)}
    run = await examined(command, large | before_a_full_batch)
    assert set(run.statuses.values()) == {"ok"}
    assert stored(tmp_path) == {*large.values(), *before_a_full_batch.values()}


async def test_bodies_pass_where_the_system_has_no_files_in_memory(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: str) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(os, "memfd_create", refused, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    run = await examined(command, {str(number): jpeg(number) + bytes(number * 100_000) for number in range(20)})
    assert set(run.statuses.values()) == {"ok"}
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not ALWAYS_FULL.exists(), reason="this system has no device that is always full")
async def test_a_body_for_which_there_is_no_room_ends_the_run_with_a_sentence(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "file_in_memory", lambda: ALWAYS_FULL.open("r+b", buffering=0))
    told: Told = {}
    with pytest.raises(ChildError, match=r"no room to hand photographs of [\d,]+ bytes .*No space left on device"):
        await examined(command, {str(number): jpeg(number) for number in range(3 * BATCH)}, told)
    assert told == {}
    assert stored(tmp_path) == set()


async def test_a_batch_takes_no_more_memory_than_its_bodies(command: list[str]) -> None:
    async with running(command) as run:
        await run.examiner.take("a", jpeg(1) + bytes(BATCH_BYTES))
        await run.examiner.finish()
        (worker,) = run.examiner._workers
        assert os.fstat(worker._memory.fileno()).st_size == len(jpeg(1)) + BATCH_BYTES


async def test_a_single_body_does_not_wait_for_others(command: list[str]) -> None:
    async with running(command) as run:
        await run.examiner.take("a", jpeg(1))
        async with asyncio.timeout(PATIENCE):
            while not run.told:  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("signal", sorted(-status for status in examine._CRASHES))
async def test_a_body_that_crashes_the_decoder_is_corrupt_and_its_neighbours_are_not(
    tmp_path: Path, signal: int
) -> None:
    bodies = {str(number): jpeg(number) for number in range(BATCH)}
    bodies["5"] += MARKER
    bodies["11"] += MARKER
    run = await examined(fragile(tmp_path, signal), bodies)
    assert run.statuses == {**dict.fromkeys(bodies, "ok"), "5": "corrupt", "11": "corrupt"}
    assert f"signal {signal}" in (run.told["5"].verdict.error or "")
    assert stored(tmp_path) == {body for body in bodies.values() if MARKER not in body}


@pytest.mark.parametrize("signal", [9, 15])
async def test_a_worker_that_was_killed_ends_the_run_and_calls_no_photograph_corrupt(
    tmp_path: Path, signal: int
) -> None:
    bodies = {str(number): jpeg(number) for number in range(3 * BATCH)}
    bodies["5"] += MARKER
    told: Told = {}
    with pytest.raises(ChildError, match=f"status -{signal}"):
        await examined(fragile(tmp_path, signal), bodies, told)
    assert {one.verdict.status for one in told.values()} <= {"ok"}
    assert "5" not in told


async def test_a_worker_can_be_ended_also_where_its_parent_ignores_that(tmp_path: Path) -> None:
    before = signals.signal(signals.SIGTERM, signals.SIG_IGN)
    try:
        with pytest.raises(ChildError, match=f"status -{signals.SIGTERM.value}"):
            await examined(fragile(tmp_path, signals.SIGTERM), {"1": jpeg(1) + MARKER})
    finally:
        signals.signal(signals.SIGTERM, before)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([sys.executable, "-c", "raise SystemExit(3)"], "status 3"),
        ([sys.executable, "-c", "print('hello')"], "status 0"),
        (["/no/such/program"], "No such file"),
    ],
)
async def test_a_worker_that_cannot_start_ends_the_run(wrong: list[str], message: str) -> None:
    with pytest.raises(ChildError, match=message):
        await examined(wrong, {"a": jpeg(1)})


async def test_a_worker_that_dies_in_the_middle_of_its_answer_is_a_dead_worker(tmp_path: Path) -> None:
    program = "import sys; print('ready', flush=True); sys.stdin.readline(); print('[[\"ok\"', end='', flush=True)"
    with pytest.raises(ChildError, match="status 0"):
        await examined([sys.executable, "-c", program, str(tmp_path)], {"a": jpeg(1)})


async def test_a_disk_that_refuses_ends_the_run_with_its_own_error(command: list[str], tmp_path: Path) -> None:
    bodies = {str(number): jpeg(number) for number in range(3 * BATCH)}
    for content in bodies.values():
        path_of(tmp_path, hashlib.sha256(content).hexdigest()).parent.write_text("a file where a folder should be")
    with pytest.raises(NotADirectoryError) as caught:
        await examined(command, bodies)
    assert str(tmp_path) in str(caught.value.filename)


@pytest.mark.parametrize("moment", ["starting", "idle", "at work"])
async def test_workers_end_when_the_run_is_cancelled(tmp_path: Path, moment: str) -> None:
    at_work = asyncio.Event()

    async def work() -> None:
        async with running(fragile(tmp_path, 19)) as run:  # SIGSTOP: a decoder that never ends
            if moment == "idle":
                await run.examiner.take("a", jpeg(1))
                await run.examiner.finish()
            else:
                await run.examiner.take("a", jpeg(1) + MARKER)
                await asyncio.to_thread(wait_for_children, stopped=moment == "at work")
            at_work.set()
            await asyncio.sleep(PATIENCE)

    task = asyncio.create_task(work())
    async with asyncio.timeout(PATIENCE):
        await at_work.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def wait_for_children(*, stopped: bool) -> None:
    """Wait until there is a child, or until one has stopped itself."""
    deadline = time.monotonic() + PATIENCE
    while not any(not stopped or child.status() == psutil.STATUS_STOPPED for child in psutil.Process().children()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_bodies_in_memory_are_bounded(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "BATCH", 1)
    most = 0
    async with running(command) as run:
        for number in range(60):
            await run.examiner.take(str(number), jpeg(number))
            most = max(most, number + 1 - len(run.told))
    assert most <= 2 * examine.WORKERS + 1
    assert len(run.told) == 60
