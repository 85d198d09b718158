"""The embedded replica starts, serves all of ingest at stable addresses, and never outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from demo.faults import FAULTS, Faults
from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.errors import ChildError
from pipeline.fetching.fetch import fetch_photos
from pipeline.fetching.hosts import Patience
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.launching.replica import PUBLIC_HOST, photo_hosts, running_replica, source_api
from pipeline.photos.index import build_photo_index
from tests.pipeline import tiny

Make = Callable[..., Settings]
ENDS = {
    None: "ok",
    "rate_limit": "ok",
    "unavailable": "ok",
    "stall": "ok",
    "truncated": "corrupt",
    "html": "not_jpeg",
    "png": "not_jpeg",
    "gone": "gone",
    "private_redirect": "blocked",
}
"""What a photograph with a fault comes to."""


def test_it_answers_while_the_block_runs_and_not_after(settings: Settings) -> None:
    with running_replica(settings) as replica:
        with urlopen(f"{replica.api_url}/occurrence/search?limit=1", timeout=10) as answer:
            assert answer.status == 200
        assert replica.hosts[PUBLIC_HOST][0] == "127.0.0.1"
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{replica.api_url}/occurrence/search?limit=1", timeout=10)


def test_a_replica_that_cannot_start_says_why(make_settings: Make) -> None:
    settings = make_settings(source={"replica": {"photos": "/no/such/file.csv"}})
    with pytest.raises(ChildError, match=r"file\.csv"), running_replica(settings):
        pytest.fail("it started")


def test_it_ends_with_a_parent_that_was_killed(settings: Settings, repository: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom pipeline.config.settings import Settings\n"
        "from pipeline.launching.replica import running_replica\n"
        "with running_replica(Settings(name='t', data_root=Path(sys.argv[1]))) as replica:\n"
        "    print(replica.api_url, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(settings.data_root)]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().startswith("http://127.0.0.1:")
        (child,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 60
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the replica outlived its parent"
        time.sleep(0.05)


def ingest(settings: Settings) -> dict[str, bytes]:
    """Run the group `ingest` and return the tables that must not change with ports or time."""
    with source_api(settings) as api:
        fetch_source(settings, api=api, log=lambda _: None)
    paths = settings.paths
    build_occurrences(paths, settings)
    build_clean_occurrences(paths, settings)
    build_photo_index(paths, settings)
    return {name: paths.table(name).read_bytes() for name in ("occurrences", "media", "photo_index")}


def test_tables_are_the_same_bytes_whatever_the_port(make_settings: Make, tmp_path: Path) -> None:
    assert ingest(make_settings()) == ingest(make_settings(data_root=tmp_path / "other"))


def test_every_row_of_a_folder_of_photographs_arrives(make_settings: Make, shared: Path) -> None:
    settings = make_settings(
        source={"replica": {"photos": shared / "photos_small.csv"}},
        photos={"requests_per_second": 5000.0, "concurrency": 32},
    )
    ingest(settings)
    with photo_hosts(settings) as hosts:
        summary = fetch_photos(settings.paths, settings, hosts=hosts, log=lambda _: None)
    assert summary.statuses == {"ok": 1769}
    assert len({row["species"] for row in tiny.read(settings.paths.table("clean_occurrences"))}) == 114


def test_all_faults_at_once_end_each_photograph_as_it_deserves(make_settings: Make, shared: Path) -> None:
    # An outage of half the host is about no photograph: `tests/pipeline/fetching/test_partial_outages.py`.
    single = tuple(fault for fault in FAULTS if fault != "outage")
    assert ENDS.keys() == {None, *single}
    settings = make_settings(
        source={"replica": {"photos": shared / "photos_small.csv", "faults": single}},
        photos={"requests_per_second": 5000.0, "concurrency": 16},
    )
    ingest(settings)
    index = tiny.read(settings.paths.table("photo_index"))
    faults = Faults(single)
    numbers: dict[str | None, int] = {None: 100}
    numbers.update(dict.fromkeys(single, 6))
    chosen = [
        row
        for fault, most in numbers.items()
        for row in [row for row in index if faults.assigned(photo_of(row)) == fault][:most]
    ]
    tiny.write(settings.paths, "photo_index", chosen)
    patience = Patience(silence=1, first_wait=0.05, longest_wait=0.2)
    with photo_hosts(settings) as hosts:
        fetch_photos(settings.paths, settings, hosts=hosts, log=lambda _: None, patience=patience)
        found = tiny.read(settings.paths.table("photos"))
        again = fetch_photos(settings.paths, settings, hosts=hosts, log=lambda _: None, patience=patience)
    assert {row["photo_id"]: row["status"] for row in found} == {
        row["photo_id"]: ENDS[faults.assigned(photo_of(row))] for row in chosen
    }
    assert {faults.assigned(photo_of(row)) for row in found} == ENDS.keys(), "every fault was met"
    repeated = {faults.assigned(photo_of(row)) for row in found if row["attempts"] > 1}
    assert {"rate_limit", "unavailable", "stall"} <= repeated
    assert again.requests == 0


def photo_of(row: tiny.Row) -> str:
    """The photograph that the replica knows at an address of the index."""
    return str(row["url"]).split("/")[-2]
