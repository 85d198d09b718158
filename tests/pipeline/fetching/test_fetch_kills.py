"""A fetch that is killed, at whatever moment and however often, ends as if nothing had happened."""

import functools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from pipeline.config.settings import Settings
from pipeline.fetching.fetch import fetch_photos
from pipeline.paths import PROJECT_ROOT
from pipeline.photos.journal import AGAIN
from tests.pipeline.photo_index import attempts, bodies, stable, workers, write_index
from tests.pipeline.photo_server import PhotoServer, photo_server

KILLS = 10
LEAST_ANSWERS, MOST_ANSWERS = 8, 30
"""Answers between two kills, where there are any."""
QUICKLY = {"concurrency": 4, "requests_per_second": 5000}
PHOTOGRAPHS = [
    *(f"ok-{number}" for number in range(300)),
    *(f"{habit}-{number}" for habit in ("unavailable", "gone", "html", "truncated", "moved") for number in range(6)),
]
CHILD = """
import sys
from pathlib import Path
from pipeline.config.settings import Settings
from pipeline.fetching import fetch
settings = Settings(name="test", data_root=Path(sys.argv[1]), photos={"concurrency": 4, "requests_per_second": 5000})
fetch.fetch_photos(settings.paths, settings, hosts={"photos.test": ("127.0.0.1", int(sys.argv[2]))}, log=print)
"""


def index(settings: Settings) -> None:
    # Ordinary and bad photographs in turn, in the order in which they are asked for.
    order = random.Random(5).sample(PHOTOGRAPHS, len(PHOTOGRAPHS))
    write_index(settings, {f"{number:03d}": PhotoServer.url(photo_id) for number, photo_id in enumerate(order)})


def finished(settings: Settings) -> set[str]:
    """The addresses with a final line that outlived the kill."""
    journal = settings.paths.fetch_journal
    lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
    for unsealed in settings.paths.attempts.glob("*.jsonl"):
        rows += [json.loads(line) for line in unsealed.read_bytes().splitlines()]
    return {row["url"] for row in [*rows, *attempts(settings)] if row["status"] != AGAIN}


def ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(state: Callable[[], bool], *, otherwise: str) -> None:
    deadline = time.monotonic() + 120
    while not state():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


def kill(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL the fetch, and it alone; its workers must end by themselves."""
    workers = psutil.Process(child.pid).children(recursive=True)
    child.kill()
    child.wait()
    until(lambda: all(ended(worker) for worker in workers), otherwise="workers outlived their fetch")


def test_many_kills_change_nothing(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    chance = random.Random(17)
    whole = make_settings(data_root=tmp_path / "whole", photos=QUICKLY)
    settings = make_settings(photos=QUICKLY)
    index(whole)
    index(settings)
    done: set[str] = set()
    asked = 0
    with photo_server() as server:

        def repeated() -> set[str]:
            """What was asked for since the last kill although it was recorded before."""
            return {PhotoServer.url(photo_id) for photo_id, _ in server.times[asked:]} & (done - moved_targets())

        command = [sys.executable, "-c", CHILD, str(settings.data_root), str(server.port)]
        for number in range(KILLS):
            # The host answers so many requests more, and then no other: how far a run comes depends on no clock.
            last = asked + (0 if number % 4 == 0 else chance.randint(LEAST_ANSWERS, MOST_ANSWERS))
            server.opened = functools.partial(lambda last: server.answered < last, last)
            child = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
            try:
                until(functools.partial(lambda last: server.answered >= last, last), otherwise="not answered")
                if number % 2:
                    until(
                        functools.partial(lambda before: finished(settings) > before, frozenset(done)),
                        otherwise="nothing was recorded",
                    )
                assert child.poll() is None, "it waits for answers"
            finally:
                kill(child)
            until(lambda: server.running == 0, otherwise="requests of the killed run are under way")
            assert repeated() == set(), "what was recorded is not asked for again"
            done |= finished(settings)
            asked = server.answered = len(server.times)
        assert KILLS // 2 <= len(done) < len(PHOTOGRAPHS)
        server.opened = lambda: True
        fetch_photos(settings.paths, settings, hosts=server.hosts, log=lambda _: None)
        assert repeated() == set()
    with photo_server() as server:
        fetch_photos(whole.paths, whole, hosts=server.hosts, log=lambda _: None)
    assert stable(settings) == stable(whole)
    assert bodies(settings) == bodies(whole)
    assert workers() == set(), "no worker is left"


def moved_targets() -> set[str]:
    """Where redirects lead: addresses that are photographs of their own too."""
    return {PhotoServer.url(f"ok-{photo_id.rpartition('-')[2]}") for photo_id in PHOTOGRAPHS if "moved" in photo_id}
