"""`python -m demo` says when it is ready, ends with its parent, and tells what was wrong with its options."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.__main__ import INTERRUPTED, main
from demo.faults import FAULTS
from tests.demo.replica_fixtures import jpeg

HEADER = "path,kingdom,phylum,class,order,family,genus,species,source_name,subset,licence,rights_holder,source_url\n"
ROW = "kea.jpg,Animalia,Chordata,Aves,Psittaciformes,Strigopidae,Nestor,Nestor notabilis,Nestor notabilis,a,CC0,,\n"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of one labelled photograph."""
    (tmp_path / "kea.jpg").write_bytes(jpeg())
    table = tmp_path / "photos.csv"
    table.write_text(HEADER + ROW)
    return table


@contextmanager
def _started(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().decode()
    finally:
        process.kill()
        process.wait(timeout=10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def test_it_says_when_it_is_ready_and_serves_then(photos: Path) -> None:
    begun = time.monotonic()
    with _started("--photos", str(photos)) as (_, line):
        assert time.monotonic() - begun < 5, "1.5 s on an idle machine"
        ready, _, address = line.strip().rpartition(" ")
        assert ready == "replica ready"
        with urllib.request.urlopen(f"{address}/v1/occurrence/search", timeout=10) as response:
            page = json.load(response)
        assert page["count"] == 1
        with urllib.request.urlopen(page["results"][0]["media"][0]["identifier"], timeout=10) as response:
            assert response.read() == jpeg()


def test_it_ends_when_its_parent_does(photos: Path) -> None:
    with _started("--photos", str(photos), "--watch-stdin") as (process, line):
        assert line
        assert process.stdin is not None
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_ends_with_a_sentence_when_it_is_told_to(photos: Path, number: signal.Signals, status: int) -> None:
    with _started("--photos", str(photos)) as (process, line):
        assert line
        process.send_signal(number)
        assert process.wait(timeout=60) == status
        assert process.stderr is not None
        assert process.stderr.read().decode() == f"naturewatch: {INTERRUPTED}\n"


def test_a_taken_port_is_an_error_that_names_it(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with _started("--photos", str(photos)) as (_, line):
        port = line.strip().rpartition(":")[2]
        assert main(["--photos", str(photos), "--port", port]) == 1
    assert port in capsys.readouterr().err


def test_a_missing_table_is_an_error_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--photos", str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err


def test_the_help_lists_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    for name, what in FAULTS.items():
        assert name in printed
        assert what in printed


def test_an_unknown_fault_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--faults", "flood"])
    assert "unknown fault flood" in capsys.readouterr().err
