"""How a fetch ends before its time: another one runs, a disk refuses, or somebody interrupts it. Nothing is lost."""

import errno
import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import pytest

from pipeline.config.settings import Settings
from pipeline.errors import LockedError, StorageError
from pipeline.files import exclusive
from pipeline.photos.bodies import path_of
from pipeline.photos.journal import Attempt, Journal
from tests.pipeline.fetching.test_fetch import fast, fetch, server, write_index
from tests.pipeline.photo_index import workers
from tests.pipeline.photo_server import PhotoServer, jpeg

__all__ = ["fast", "server"]


def test_two_fetches_do_not_run_at_once(fast: Settings, server: PhotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    write_index(fast, "ok-1")
    clock = iter(range(0, 10_000, 20))
    with exclusive(fast.paths.fetch_journal.parent / ".lock"):
        monkeypatch.setattr("pipeline.files.time.monotonic", lambda: float(next(clock)))
        with pytest.raises(LockedError):
            fetch(fast, server)


def test_a_disk_that_refuses_stops_the_run_and_loses_nothing(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "ok-1")
    obstacle = path_of(fast.paths.photos, hashlib.sha256(jpeg(1)).hexdigest())
    obstacle.mkdir(parents=True)
    with pytest.raises(StorageError, match=rf"{obstacle}.* cannot be written \(Is a directory\); .* is kept$"):
        fetch(fast, server)
    assert workers() == set(), "no worker is left behind"
    obstacle.rmdir()
    assert fetch(fast, server).statuses == {"ok": 1}


class InterruptedByFrameworkError(BaseException):
    """As Dagster's own: an interruption that is neither an Exception nor a KeyboardInterrupt."""


def raise_own(number: int, frame: FrameType | None) -> NoReturn:
    raise InterruptedByFrameworkError


@pytest.mark.parametrize(
    ("handler", "raised"),
    [(signal.default_int_handler, KeyboardInterrupt), (raise_own, InterruptedByFrameworkError)],
    ids=["python", "framework"],
)
def test_an_interruption_ends_a_fetch_as_itself_and_loses_nothing(
    fast: Settings,
    server: PhotoServer,
    handler: Callable[[int, FrameType | None], object],
    raised: type[BaseException],
) -> None:
    write_index(fast, *(f"ok-{number}" for number in range(40)))

    def interrupt_when_recorded() -> bool:
        """Let twenty answers pass; once some are recorded, interrupt the fetch."""
        recorded = fast.paths.fetch_journal.exists() and fast.paths.fetch_journal.stat().st_size > 0
        if server.given >= 20 and recorded and not interrupted.is_set():
            interrupted.set()
            os.kill(os.getpid(), signal.SIGINT)
        return server.given < 20 or finished.is_set()

    interrupted, finished = threading.Event(), threading.Event()
    server.opened = interrupt_when_recorded
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(raised):
            fetch(fast, server)
    finally:
        signal.signal(signal.SIGINT, before)
        finished.set()
    lines = fast.paths.fetch_journal.read_bytes().splitlines()
    recorded = {json.loads(line)["url"] for line in lines}
    assert recorded
    server.requests.clear()
    assert fetch(fast, server).statuses == {"ok": 40}
    assert server.requests.total() == 40 - len(recorded), "what was recorded is not asked for again"


def test_a_folder_that_cannot_be_written_is_named(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "ok-1")
    fast.paths.fetch_journal.parent.write_text("a file in the folder's place")
    with pytest.raises(StorageError, match=rf"{fast.paths.fetch_journal.parent}.* cannot be written"):
        fetch(fast, server)


def test_a_disk_that_is_full_for_the_journal_ends_the_run_and_loses_nothing_else(
    fast: Settings, server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_index(fast, *(f"ok-{number}" for number in range(8)))
    append = Journal.append

    def full(self: Journal, attempt: Attempt) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fast.paths.fetch_journal))

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(StorageError, match="No space left on device"):
        fetch(fast, server)
    monkeypatch.setattr(Journal, "append", append)
    assert fetch(fast, server).statuses == {"ok": 8}
