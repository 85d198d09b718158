"""Messages reach a person with and without Dagster; a process whose parent died ends by itself."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ml.child import pipes


def test_without_dagster_messages_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pipes.session() as reporter:
        reporter.info("epoch 1")
    assert capsys.readouterr().err.endswith("epoch 1\n")


def test_the_collector_does_not_walk_through_what_a_child_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "launched_by_pipes", lambda: True)
    monkeypatch.setattr(pipes, "watch_ancestors", lambda: None)
    monkeypatch.setenv("RANK", "1")
    try:
        with pipes.session():
            assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


def test_only_the_first_rank_speaks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with pipes.session() as reporter:
        reporter.info("epoch 1")
    assert capsys.readouterr().err == ""


def test_an_orphan_is_interrupted(tmp_path: Path) -> None:
    note, code = tmp_path / "note", tmp_path / "child.py"
    code.write_text(
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from ml.child.pipes import watch_ancestors\n"
        f"note = Path({str(note)!r})\n"
        "def end(*_):\n    note.write_text('interrupted')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "watch_ancestors(interval_seconds=0.05)\n"
        "note.write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    parent_code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, {str(code)!r}]); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, "-c", parent_code], env=environment) as parent:
        wait_for(lambda: note.exists() and note.read_text().isdigit())
        child = psutil.Process(int(note.read_text()))
        parent.kill()
    wait_for(lambda: note.read_text() == "interrupted")
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def wait_for(condition: object, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
