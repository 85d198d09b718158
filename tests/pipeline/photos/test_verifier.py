"""Bodies are verified and stored by worker processes: a bad body, a bad worker or a bad disk harms nothing else."""

import asyncio
import errno
import functools
import hashlib
import os
import signal as signals
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.errors import ChildError
from pipeline.paths import PROJECT_ROOT
from pipeline.photos import verification
from pipeline.photos.bodies import path_of
from pipeline.photos.verification import Verdict, Verifier, verify
from tests.pipeline.photo_index import workers
from tests.pipeline.photo_server import jpeg, png
from tests.pipeline.photos.fragile import MARKER, fragile, fragile_once, leaving

PATIENCE = 300
"""Seconds after which a state that must come is given up; no test counts on anything to happen sooner."""
MANY = 24
"""More bodies than all workers have at a time."""
VERIFY = functools.partial(verify, max_pixels=1_000_000)


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    yield
    assert workers() == set()


async def examined(verifier: Verifier, bodies: dict[str, bytes]) -> dict[str, Verdict]:
    """The verdicts on bodies that are handed over all at once."""
    verdicts = await asyncio.gather(*map(verifier.examine, bodies.values()))
    return dict(zip(bodies, verdicts, strict=True))


def statuses(verdicts: dict[str, Verdict]) -> dict[str, str]:
    return {name: verdict.status for name, verdict in verdicts.items()}


def stored(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*.jpg") if path.is_file()}


async def until_a_worker_is(status: str) -> None:
    """Wait until there is a worker in this state."""
    deadline = time.monotonic() + PATIENCE
    while not any(worker.status() == status for worker in workers()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_every_body_gets_its_own_verdict(tmp_path: Path) -> None:
    bodies = {f"ok-{number}": jpeg(number) for number in range(MANY)}
    bodies["large"] = jpeg(MANY) + bytes(10_000_000)  # bytes after the end of the image are accepted
    others = {
        "cut": jpeg(1)[:-50],
        "png": png(),
        "html": b"<html>",
        "wide": jpeg(1, size=(2000, 600)),
        "empty": b"",
    }
    with Verifier(folder=tmp_path, judge=VERIFY) as verifier:
        verdicts = await examined(verifier, {"empty first": b"", **bodies, **others})
    assert statuses(verdicts) == {
        **dict.fromkeys(bodies, "ok"),
        "cut": "corrupt",
        "png": "not_jpeg",
        "html": "not_jpeg",
        "wide": "too_large",
        "empty": "not_jpeg",
        "empty first": "not_jpeg",
    }
    for name, body in (bodies | others).items():
        assert verdicts[name].sha256 == hashlib.sha256(body).hexdigest()
    for name in bodies:
        assert (verdicts[name].width, verdicts[name].height) == (64, 48)
    assert stored(tmp_path) == set(bodies.values()), "photographs are stored, and nothing else is"


async def test_a_verifier_starts_nothing_before_the_first_body(tmp_path: Path) -> None:
    with Verifier(folder=tmp_path, judge=VERIFY):
        assert workers() == set()


@pytest.mark.parametrize("signal", sorted(-status for status in verification._CRASHES))
async def test_a_body_that_crashes_the_decoder_is_corrupt_and_its_neighbours_are_not(
    tmp_path: Path, signal: int
) -> None:
    bodies = {str(number): jpeg(number) for number in range(MANY)}
    bodies["5"] += MARKER
    bodies["11"] += MARKER
    with Verifier(folder=tmp_path, judge=functools.partial(fragile, end=signal)) as verifier:
        verdicts = await examined(verifier, bodies)
        after = await verifier.examine(jpeg(MANY))
    assert statuses(verdicts) == {**dict.fromkeys(bodies, "ok"), "5": "corrupt", "11": "corrupt"}
    assert after.status == "ok", "the others go on"
    assert signals.Signals(signal).name in (verdicts["5"].error or "")
    assert stored(tmp_path) == {*(body for body in bodies.values() if MARKER not in body), jpeg(MANY)}


@pytest.mark.parametrize("signal", [signals.SIGKILL, signals.SIGTERM])
async def test_a_worker_that_was_killed_costs_no_body(tmp_path: Path, signal: int) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    bodies = {str(number): jpeg(number) for number in range(MANY)}
    bodies["5"] += MARKER
    judge = functools.partial(fragile_once, end=signal, marks=marks)
    with Verifier(folder=tmp_path / "photos", judge=judge) as verifier:
        verdicts = await examined(verifier, bodies)
    assert (marks / "killed").exists()
    assert statuses(verdicts) == dict.fromkeys(bodies, "ok")
    assert stored(tmp_path / "photos") == set(bodies.values())


@pytest.mark.parametrize("signal", [signals.SIGKILL, signals.SIGTERM])
async def test_a_body_whose_worker_is_killed_each_time_ends_the_run_and_is_not_called_corrupt(
    tmp_path: Path, signal: int
) -> None:
    # As where memory is short, or a parent that ignores SIGTERM hands that down to its workers.
    before = signals.signal(signals.SIGTERM, signals.SIG_IGN)
    try:
        with Verifier(folder=tmp_path, judge=functools.partial(fragile, end=signal)) as verifier:
            neighbours = [asyncio.create_task(verifier.examine(jpeg(number))) for number in range(MANY)]
            with pytest.raises(ChildError, match=f"status -{signal}; the machine may lack memory"):
                await verifier.examine(jpeg(1) + MARKER)
            assert {(await neighbour).status for neighbour in neighbours} == {"ok"}
    finally:
        signals.signal(signals.SIGTERM, before)


async def test_workers_that_cannot_work_end_the_run(tmp_path: Path) -> None:
    with (
        Verifier(folder=tmp_path, judge=leaving) as verifier,
        pytest.raises(ChildError, match="ended with status 3"),
    ):
        await verifier.examine(jpeg(1))


async def test_workers_that_do_not_start_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with Verifier(folder=tmp_path, judge=VERIFY) as verifier:
        monkeypatch.setattr(verifier._pool, "submit", refused)
        with pytest.raises(ChildError, match=r"did not start: .* temporarily unavailable"):
            await verifier.examine(jpeg(1))


async def test_a_disk_that_refuses_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    obstacle = path_of(tmp_path, hashlib.sha256(jpeg(1)).hexdigest()).parent
    obstacle.write_text("a file where a folder should be")
    with Verifier(folder=tmp_path, judge=VERIFY) as verifier:
        with pytest.raises(NotADirectoryError) as caught:
            await verifier.examine(jpeg(1))
        assert str(obstacle) in str(caught.value.filename)
        assert (await verifier.examine(jpeg(2))).status == "ok"


@pytest.mark.parametrize("moment", ["starting", "idle", "at work", "alone"])
async def test_workers_end_when_the_run_is_cancelled(tmp_path: Path, moment: str) -> None:
    at_work = asyncio.Event()
    judge = functools.partial(fragile, end=signals.SIGSTOP)  # a decoder that never ends

    async def work() -> None:
        with Verifier(folder=tmp_path, judge=judge) as verifier:
            if moment == "idle":
                await verifier.examine(jpeg(1))
                at_work.set()
                await asyncio.sleep(PATIENCE)
            async with asyncio.TaskGroup() as group:
                examine = verifier._examine_alone if moment == "alone" else verifier.examine
                group.create_task(examine(jpeg(1) + MARKER))
                await asyncio.sleep(0)
                if moment != "starting":
                    await until_a_worker_is(psutil.STATUS_STOPPED)
                at_work.set()

    task = asyncio.create_task(work())
    async with asyncio.timeout(PATIENCE):
        await at_work.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


ORPHANS = """
import asyncio, functools, sys
from pathlib import Path
from pipeline.photos.verification import Verifier, verify
async def main():
    with Verifier(folder=Path(sys.argv[1]), judge=functools.partial(verify, max_pixels=1)) as verifier:
        await asyncio.gather(*(verifier.examine(b"") for _ in range(20)))
        print("ready", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


def test_workers_end_with_a_fetch_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHANS, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE) as fetch:
        assert fetch.stdout is not None
        assert fetch.stdout.readline() == b"ready\n"
        children = psutil.Process(fetch.pid).children()
        assert len(children) >= 2, "a worker at least, and the resource tracker"
        fetch.kill()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []


async def test_an_interrupt_of_the_whole_group_leaves_workers_at_work(tmp_path: Path) -> None:
    with Verifier(folder=tmp_path, judge=VERIFY) as verifier:
        await verifier.examine(jpeg(1))
        for worker in workers():
            worker.send_signal(signals.SIGINT)
        assert (await verifier.examine(jpeg(2))).status == "ok"
        assert workers(), "the parent decides"
