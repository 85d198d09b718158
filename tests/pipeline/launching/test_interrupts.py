"""A signal at any moment: one sentence, the status that the shell expects, nothing left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.fetching.loop import cancelled_by_signals
from pipeline.launching.interrupts import GO_ON, STOPPING, Interrupted

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from pipeline.launching import interrupts

def work():
    folder = Path(sys.argv[2])
    def noted(number, frame):
        (folder / "heard").open("a").write(f"{number} ")
    how = sys.argv[1]
    if how == "status":
        return 7
    if how == "dies":
        os.kill(os.getpid(), signal.SIGBUS)
    if how in {"patient", "tells"}:
        signal.signal(signal.SIGINT, noted)
    (folder / "ready").write_text(str(os.getpid()))
    while how not in {"patient", "tells"} or not (folder / "enough").exists():
        time.sleep(0.01)
    return 130

interrupts.AGAIN_SECONDS = 0.0 if len(sys.argv) > 3 else interrupts.AGAIN_SECONDS
interrupts.raise_on_signals()
try:
    told = (lambda: interrupts.say("the table says it")) if sys.argv[1] == "tells" else None
    status = interrupts.supervised(work, stopping=told)
except interrupts.Interrupted as interrupt:
    print(interrupt, file=sys.stderr)
    status = interrupt.status
except interrupts.ChildError as error:
    print(error, file=sys.stderr)
    status = 1
sys.exit(status)
"""


class Program:
    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        how, *rest = arguments
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, how, str(folder), *rest],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def worker(self) -> psutil.Process:
        """The process that works, once it does."""
        while not (self.folder / "ready").exists() or not (self.folder / "ready").read_text():
            assert self.process.poll() is None
        return psutil.Process(int((self.folder / "ready").read_text()))

    def wait_for_word(self) -> None:
        """Until it has said that it stops, and so has handed the signal on."""
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == f"naturewatch: {STOPPING}\n"

    def end(self) -> tuple[int, str]:
        # Not communicate(), which would pass by what `wait_for_word` has read ahead.
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        return self.process.wait(), said.strip()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        program.process.kill()
        program.process.wait()
        assert program.process.stderr is not None
        program.process.stderr.close()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_each_signal_has_its_status_and_the_same_sentence(
    tmp_path: Path, programs: list[Program], number: signal.Signals, status: int
) -> None:
    programs.append(program := Program(tmp_path, "plain"))
    worker = program.worker()
    program.process.send_signal(number)
    program.wait_for_word()
    assert program.end() == (status, GO_ON)
    assert not worker.is_running()


def test_the_work_may_say_itself_that_it_stops(tmp_path: Path, programs: list[Program]) -> None:
    programs.append(program := Program(tmp_path, "tells"))
    worker = program.worker()
    program.process.send_signal(signal.SIGINT)
    assert program.process.stderr is not None
    assert program.process.stderr.readline() == "naturewatch: the table says it\n"
    (tmp_path / "enough").touch()
    assert program.end() == (130, GO_ON)
    assert not worker.is_running()


def test_the_work_hears_one_interrupt_and_may_take_its_time(tmp_path: Path, programs: list[Program]) -> None:
    programs.append(program := Program(tmp_path, "patient"))
    program.worker()
    # As `timeout` does: to the process, and to its group.
    program.process.send_signal(signal.SIGTERM)
    program.wait_for_word()
    program.process.send_signal(signal.SIGTERM)
    while not (tmp_path / "heard").exists():
        assert program.process.poll() is None
    (tmp_path / "enough").touch()
    assert program.end() == (143, GO_ON)
    assert (tmp_path / "heard").read_text() == f"{signal.SIGINT.value} "


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path, programs: list[Program]) -> None:
    programs.append(program := Program(tmp_path, "patient", "hurried"))
    worker = program.worker()
    program.process.send_signal(signal.SIGINT)
    program.wait_for_word()
    program.process.send_signal(signal.SIGINT)
    assert program.end() == (130, GO_ON)
    assert not worker.is_running()


def test_the_work_ends_with_a_watcher_that_was_killed(tmp_path: Path, programs: list[Program]) -> None:
    programs.append(program := Program(tmp_path, "patient"))
    worker = program.worker()
    program.process.kill()
    psutil.wait_procs([worker], timeout=60)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_ctrl_z_stops_the_work_and_fg_lets_it_go_on(tmp_path: Path, programs: list[Program]) -> None:
    programs.append(program := Program(tmp_path, "patient"))
    worker = program.worker()
    program.process.send_signal(signal.SIGTSTP)
    while worker.status() != psutil.STATUS_STOPPED or psutil.Process(program.process.pid).status() != "stopped":
        assert program.process.poll() is None
    program.process.send_signal(signal.SIGCONT)
    (tmp_path / "enough").touch()
    assert program.end() == (130, GO_ON)


def test_work_that_is_interrupted_from_outside_ends_with_the_same_message(
    tmp_path: Path, programs: list[Program]
) -> None:
    programs.append(program := Program(tmp_path, "plain"))
    program.worker().send_signal(signal.SIGTERM)
    assert program.end() == (143, GO_ON)


def test_the_message_about_work_that_the_system_ended_names_what_it_may_have_lacked(
    tmp_path: Path, programs: list[Program]
) -> None:
    programs.append(program := Program(tmp_path, "dies"))
    status, said = program.end()
    assert status == 1
    assert "ended by SIGBUS" in said
    assert "/dev/shm" in said


def test_its_status_is_the_status_of_the_work(tmp_path: Path, programs: list[Program]) -> None:
    programs.append(program := Program(tmp_path, "status"))
    assert program.end() == (7, "")


def test_a_pipe_that_nobody_reads_any_more_ends_a_command_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = "from pipeline.launching.interrupts import quiet_pipe\nwith quiet_pipe():\n    print('an answer')\n"
    answer = subprocess.run(
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writing)
    assert (answer.returncode, answer.stderr) == (141, "")


@pytest.fixture
def raising() -> Iterator[None]:
    """A handler that raises, as Dagster's does."""

    def handle(number: int, frame: object) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_coroutine_where_it_waits_even_if_it_comes_in_a_callback(
    raising: None, number: signal.Signals
) -> None:
    ended: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("in order")
            raise

    with pytest.raises(Interrupted) as interrupt:
        asyncio.run(cancelled_by_signals(main()))
    assert interrupt.value.status == 128 + number
    assert ended == ["in order"]


def test_without_a_signal_the_handlers_are_as_before(raising: None) -> None:
    before = signal.getsignal(signal.SIGINT)

    async def answer() -> int:
        return 3

    assert asyncio.run(cancelled_by_signals(answer())) == 3
    assert signal.getsignal(signal.SIGINT) is before
