"""A fetch that is killed, at whatever moment and however often, ends as if nothing had happened."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from pipeline.config import Settings
from pipeline.paths import PROJECT_ROOT
from pipeline.photos.fetch import fetch_photos
from pipeline.photos.journal import AGAIN
from tests.pipeline.photo_index import attempts, bodies, stable, write_index
from tests.pipeline.photo_server import PhotoServer, photo_server

KILLS = 20
QUICKLY = {"concurrency": 4, "requests_per_second": 5000}
PHOTOGRAPHS = [
    *(f"ok-{number}" for number in range(300)),
    *(f"{habit}-{number}" for habit in ("unavailable", "gone", "html", "truncated", "moved") for number in range(6)),
]
CHILD = """
import sys
from pathlib import Path
from pipeline.config import Settings
from pipeline.photos import fetch
fetch.FLUSH_SECONDS = 0.1  # runs are short here, and most should record something
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


def kill(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL the fetch, and it alone; its workers must end by themselves."""
    workers = psutil.Process(child.pid).children(recursive=True)
    child.kill()
    child.wait()
    deadline = time.monotonic() + 20
    while not all(ended(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlived their fetch"
        time.sleep(0.01)


def test_many_kills_change_nothing(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    chance = random.Random(17)
    earlier = set(psutil.Process().children())  # other tests of this process may have left helpers of libraries
    whole = make_settings(data_root=tmp_path / "whole", photos=QUICKLY)
    settings = make_settings(photos=QUICKLY)
    index(whole)
    index(settings)
    kills = 0
    done: set[str] = set()
    with photo_server() as server:
        server.delay = 0.1
        command = [sys.executable, "-c", CHILD, str(settings.data_root), str(server.port)]
        for _ in range(KILLS):
            asked = len(server.times)
            child = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
            # Some kills come before the first request.
            begun = time.monotonic()
            early = chance.random() < 0.2
            while not early and len(server.times) == asked and child.poll() is None:
                assert time.monotonic() - begun < 60
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.5))
            kills += child.poll() is None
            kill(child)
            time.sleep(0.15)  # what is under way at the server is of the killed run
            again = {PhotoServer.url(photo_id) for photo_id, _ in server.times[asked:]} & (done - moved_targets())
            assert again == set(), "what was recorded is not asked for again"
            done |= finished(settings)
        assert kills >= KILLS * 3 // 4
        assert 20 <= len(done) < len(PHOTOGRAPHS)
        server.delay = 0
        asked = len(server.times)
        fetch_photos(settings.paths, settings, hosts=server.hosts, log=lambda _: None)
        assert {PhotoServer.url(photo_id) for photo_id, _ in server.times[asked:]} & (done - moved_targets()) == set()
    with photo_server() as server:
        fetch_photos(whole.paths, whole, hosts=server.hosts, log=lambda _: None)
    assert stable(settings) == stable(whole)
    assert bodies(settings) == bodies(whole)
    assert set(psutil.Process().children()) <= earlier, "no worker is left"


def moved_targets() -> set[str]:
    """Where redirects lead: addresses that are photographs of their own too."""
    return {PhotoServer.url(f"ok-{photo_id.rpartition('-')[2]}") for photo_id in PHOTOGRAPHS if "moved" in photo_id}
