"""`python -m demo` starts quickly, says where it listens, and never outlives whoever started it."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.__main__ import main
from demo.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            assert line.startswith("replica ready http://127.0.0.1:"), line
            yield child, line.split()[-1]
        finally:
            child.kill()


def test_it_starts_answers_and_ends_with_its_stdin() -> None:
    began = time.monotonic()
    with running("--watch-stdin") as (child, address):
        assert time.monotonic() - began < 5
        with urllib.request.urlopen(f"{address}/v1/occurrence/search?limit=1") as answer:
            assert json.load(answer)["count"] > 500
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(timeout=5) == 0
        assert child.stdout is not None
        assert child.stdout.read() == "", "exactly one line"


def test_it_ends_with_its_parent() -> None:
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent,
        running("--parent-pid", str(parent.pid)) as (child, _),
    ):
        assert child.poll() is None
        parent.kill()
        parent.wait()
        assert child.wait(timeout=5) == 0


def test_a_signal_ends_it_cleanly() -> None:
    with running() as (child, _):
        child.terminate()
        assert child.wait(timeout=5) == 0


def test_a_taken_port_is_said() -> None:
    with running() as (_, address):
        port = address.rsplit(":", 1)[-1]
        second = subprocess.run(
            [sys.executable, "-m", "demo", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert second.returncode == 2
    assert "address already in use" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--faults", "flood"], "unknown fault flood"),
        (["--photos", "/nowhere/photos.csv"], "cannot read the list of photographs"),
        (["--public-url", "photos"], "is no http address"),
    ],
)
def test_what_cannot_start_says_why(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert reason in capsys.readouterr().err


def test_help_lists_the_faults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for name, fault in FAULTS.items():
        assert name in text
        assert fault.summary in text
