"""A function in a new process: its result, its errors, and its end."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.errors import ChildError, TableError
from pipeline.launching.child import in_child
from pipeline.paths import PROJECT_ROOT


def total(*numbers: int, start: int) -> tuple[int, int]:
    print("said by the function")
    return sum(numbers, start), os.getpid()


def fail(error: Exception) -> None:
    raise error


def fail_oddly() -> None:
    class OddError(Exception):
        """Nobody else can find this class."""

    raise OddError("odd")


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)


def leave(status: int) -> None:
    os._exit(status)


def wait(started: Path) -> None:
    started.write_text(str(os.getpid()))
    time.sleep(600)


def test_the_result_comes_from_another_process() -> None:
    result, process = in_child(total, 1, 2, start=3)
    assert result == 6
    assert process != os.getpid()
    assert not psutil.pid_exists(process)


def test_a_typed_error_arrives_as_it_was_raised() -> None:
    with pytest.raises(TableError, match=r"^the table x is missing$") as caught:
        in_child(fail, TableError("the table x is missing"))
    assert not hasattr(caught.value, "__notes__")


def test_pandas_is_kept_out_so_that_a_child_stays_small() -> None:
    with pytest.raises(ModuleNotFoundError, match="does without pandas"):
        in_child(importlib.import_module, "pandas")


def test_an_error_of_the_system_keeps_its_number_and_tells_where_it_came_from() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        in_child(fail, FileNotFoundError(2, "No such file", "a.parquet"))
    assert (caught.value.errno, caught.value.filename) == (2, "a.parquet")
    assert any("in fail" in note for note in caught.value.__notes__)


def test_an_error_that_cannot_travel_is_told_in_words() -> None:
    with pytest.raises(ChildError, match="OddError: odd"):
        in_child(fail_oddly)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_was_killed_is_named_with_the_signal(number: signal.Signals) -> None:
    with pytest.raises(ChildError, match=rf"test_child\.end_by was ended by {number.name}"):
        in_child(end_by, number)


def test_a_process_that_leaves_early_is_an_error() -> None:
    with pytest.raises(ChildError, match="ended with status 3"):
        in_child(leave, 3)


def test_the_process_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"
    program = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.launching.child import in_child\n"
        "from tests.pipeline.launching.test_child import wait\nin_child(wait, Path(sys.argv[1]))\n"
    )
    deadline = time.monotonic() + 300
    with subprocess.Popen([sys.executable, "-c", program, str(started)], cwd=PROJECT_ROOT) as parent:
        while not started.exists() or not started.read_text():
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.02)
        parent.kill()
    child = int(started.read_text())
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.02)
