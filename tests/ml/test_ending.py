"""A signal ends a command at once, in a sentence, and what must not stay behind is removed; work may be stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ml.ending import stopping

PROGRAM = """
import shutil, signal, sys, time
if len(sys.argv) > 2:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
from ml.ending import ENDING, end_by_signals
end_by_signals()
ENDING.callback(shutil.rmtree, sys.argv[1])
ENDING.callback(print, "]", flush=True)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "asked to end")])
def test_a_signal_ends_it_with_a_sentence(number: signal.Signals, said: str, tmp_path: Path) -> None:
    (tmp_path / "copied").mkdir()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "copied")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(number)
        assert running.communicate(timeout=120) == ("]\n", f"naturewatch: {said}\n")
    assert running.returncode == 128 + number
    assert not (tmp_path / "copied").exists()


def test_a_signal_that_was_ignored_stays_so(tmp_path: Path) -> None:
    """As a shell has it for what runs in the background."""
    (tmp_path / "copied").mkdir()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "copied"), "ignoring"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGTERM)
        assert running.communicate(timeout=120)[1] == "naturewatch: asked to end\n"
    assert running.returncode == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_that_ends_with_a_checkpoint_is_told_to_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stopping() as stop:
        assert not stop.is_set()
        for _ in range(2):
            os.kill(os.getpid(), number)
        assert stop.wait(timeout=60)
    assert signal.getsignal(number) is before
