"""`naturewatch identify --output`: killed and gone on with, changed photographs, other questions, Ctrl-C."""

import csv
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ml.identify import command as identify
from ml.identify.journal import journal_of
from ml.serving.answering import Looks
from ml.serving.classifier import Classifier, Views
from tests.ml.identify.conftest import PhotoSite
from tests.ml.specificity_fixtures import photograph_bytes

Captured = pytest.CaptureFixture[str]
Photographs = Callable[[int], Path]
COMMAND = [sys.executable, "-m", "ml.identify.command"]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photographs went through the network together, each time."""
    counts: list[int] = []
    look = Classifier.look

    def counted(self: Classifier, views: Sequence[Views]) -> Looks:
        counts.append(len(views))
        return look(self, views)

    monkeypatch.setattr(Classifier, "look", counted)
    return counts


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_killed_command_goes_on_and_ends_in_the_same_bytes(
    registry: list[str], photographs: Photographs, tmp_path: Path, looked_at: list[int], capsys: Captured
) -> None:
    """Killed by SIGKILL while it waits for more names, with part of a line left behind."""
    folder = photographs(100)
    (folder / "040.jpg").write_bytes(b"no photograph")
    lines = b"".join(os.fsencode(path) + b"\n" for path in sorted(folder.iterdir()))
    killed, whole = tmp_path / "killed" / "answers.jsonl", tmp_path / "whole" / "answers.jsonl"
    with subprocess.Popen([*COMMAND, "-", "--output", killed, *registry], stdin=subprocess.PIPE) as running:
        assert running.stdin is not None
        running.stdin.write(lines[: lines.index(b"/090.jpg")])
        running.stdin.flush()
        deadline = time.monotonic() + 120
        while not journal_of(killed).exists() or journal_of(killed).read_bytes().count(b'{"end"') < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.kill()
    assert running.returncode == -signal.SIGKILL
    assert not killed.exists()
    with journal_of(killed).open("ab") as stream:
        stream.write(b'{"key":"torn","answ')
    names = [str(path) for path in sorted(folder.iterdir())]
    assert identify.main([*names, "--output", str(killed), *registry]) == 1
    assert sum(looked_at) <= 99 - 32
    assert "99 of 100 photographs answered, 32 of them by an earlier command" in capsys.readouterr().err
    looked_at.clear()
    assert identify.main([*names, "--output", str(whole), *registry]) == 1
    assert looked_at == [16] * 6 + [3]
    assert killed.read_bytes() == whole.read_bytes()


def test_only_what_is_new_or_has_changed_is_asked(
    registry: list[str], photographs: Photographs, tmp_path: Path, looked_at: list[int]
) -> None:
    folder, output = photographs(20), tmp_path / "answers.csv"
    command = [str(folder), "--output", str(output), *registry]
    assert identify.main(command) == 0
    before = rows(output)
    assert identify.main(command) == 0
    assert looked_at == [16, 4]
    assert rows(output) == before
    (folder / "003.jpg").write_bytes(photograph_bytes(size=(99, 98)))
    os.utime(folder / "004.jpg", ns=(0, 0))
    (folder / "005.jpg").unlink()
    shutil.copy(folder / "006.jpg", folder / "new.jpg")
    assert identify.main(command) == 0
    assert looked_at == [16, 4, 3]
    after = rows(output)
    assert [row["photo"] for row in after] == [str(path) for path in sorted(folder.iterdir())]
    assert after[3] != before[3]


def test_another_question_is_refused_and_restart_begins_anew(
    registry: list[str], photographs: Photographs, tmp_path: Path, looked_at: list[int], capsys: Captured
) -> None:
    output = tmp_path / "answers.csv"
    command = [str(photographs(3)), "--output", str(output), *registry]
    assert identify.main(command) == 0
    written = output.read_bytes()
    for other in (["--target", "0.8"], ["--within", "Aves"], ["--top", "2"], ["--together"]):
        assert identify.main([*command, *other]) == 1
        assert "ask the same, name another output, or `--restart`" in capsys.readouterr().err.splitlines()[-1]
    assert output.read_bytes() == written
    assert looked_at == [3]
    assert identify.main([*command, "--within", "Aves", "--restart"]) == 0
    assert {row["within"] for row in rows(output)} == {"Animalia > Chordata > Aves"}


def test_an_address_that_was_answered_is_not_fetched_again(
    registry: list[str], site: PhotoSite, tmp_path: Path
) -> None:
    output = tmp_path / "answers.csv"
    names = [site.address("/photo"), site.address("/missing"), site.address("/to//photo")]
    command = [*names, "--output", str(output), "--allow-private-hosts", *registry]
    assert identify.main(command) == 1
    site.asked.clear()
    assert identify.main(command) == 1
    assert [path for path, _ in site.asked] == ["/missing"]
    assert [row["error"] for row in rows(output)] == ["", "the host answered 404 Not Found", ""]


def test_an_interrupt_keeps_what_is_done_and_says_how_to_go_on(
    registry: list[str], photographs: Photographs, tmp_path: Path
) -> None:
    """At a terminal, with a bar."""
    folder, output = photographs(70), tmp_path / "answers.csv"
    terminal, end = pty.openpty()
    command = [*COMMAND, *[str(path) for path in sorted(folder.iterdir())], "-", "--output", str(output), *registry]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=end) as running:
        os.close(end)
        deadline = time.monotonic() + 120
        while not journal_of(output).exists() or journal_of(output).read_bytes().count(b'{"end"') < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        said = b""
        try:
            while chunk := os.read(terminal, 4096):
                said += chunk
        except OSError:  # Nobody has the other end any more.
            pass
        assert running.wait(timeout=60) == 130
    os.close(terminal)
    assert b"answers.csv.journal keeps what is answered: the same command goes on from there" in said
    assert b"\x1b[?25h" in said  # The cursor is shown again.
    assert said.rstrip().endswith(b"naturewatch: interrupted")
    assert not output.exists()
