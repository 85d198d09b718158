"""Ctrl-C, SIGTERM and a closed terminal at any moment: one sentence and a status, never a trace.

Imports only the standard library (and the typed errors), so that it takes effect before anything else is loaded.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, NoReturn

from pipeline.errors import ChildError

GO_ON: Final = "interrupted; run the same command again to go on from here"
"""The last message of an interrupted command."""
STOPPING: Final = "stopping: what is done is kept (interrupt again to end at once)"
"""Its first message, when its work needs a moment to stop."""
AGAIN_SECONDS: Final = 1.0
"""A second signal within this time is the same one: `timeout` sends it to a process and to its group."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a command to end."""


class Interrupted(KeyboardInterrupt):
    """The process was asked to end by one of `SIGNALS`.

    Attributes:
        status: The exit status that the shell expects: 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(GO_ON)
        self.status = 128 + number


def leave_on_signals(*, says: str | None = GO_ON) -> None:
    """From now on each of `SIGNALS` ends the process at once, with a sentence or none.

    For use while there is nothing to unwind: during an import an exception may be lost, or be shown as a trace.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        if says is not None:
            say(says)
        os._exit(128 + number)

    _handle(leave)


def raise_on_signals() -> None:
    """From now on each of `SIGNALS` raises `Interrupted` in the main thread."""
    _handle(_raise)


def ignore_signals() -> None:
    """From now on none of `SIGNALS` has an effect: the process is ending, and still has to print its last message."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """End silently with status 141 when standard output is no longer read (`naturewatch ... | head -1`)."""
    try:
        try:
            yield
        finally:
            _flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


@contextlib.contextmanager
def cursor_restored() -> Iterator[None]:
    """Show the terminal's cursor after the block, whatever a process that was killed in it left behind."""
    try:
        yield
    finally:
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")
            sys.stderr.flush()


def supervised(work: Callable[[], int], *, stopping: Callable[[], object] | None = None) -> int:
    """Call `work` in a new process, watch it, and return the status that `work` returns.

    The first signal reaches `work` as SIGINT, which ends it at once unless it handles SIGINT. A second signal kills
    `work` with its process group. The new process ends when this one does, even if this one is killed. Call this while
    there is only one thread.

    Args:
        work: Returns an exit status.
        stopping: Called in a thread of the new process when the first signal was received, to say so in its own way,
            beside a live table for instance. By default this process says it on standard error.

    Raises:
        Interrupted: a signal ended the work.
        ChildError: the system ended the work, for example for lack of memory.
    """
    watched = _heard() | {signal.SIGCHLD, signal.SIGTSTP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    reading, writing = os.pipe()
    _flush()
    worker = os.fork()
    if worker == 0:
        os.close(writing)
        os.setpgid(0, 0)
        threading.Thread(target=_obey, args=(reading, stopping), daemon=True).start()
        # The process that watches says what happened.
        leave_on_signals(says=None)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _work(work)
    os.close(reading)
    with contextlib.suppress(OSError):
        # The worker does the same, whichever is first. It may have ended already.
        os.setpgid(worker, worker)
    # A signal whose default is to be ignored may be dropped before it can be waited for.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        received, status = _watch(worker, watched, writing=None if stopping is None else writing)
    finally:
        os.close(writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if status == 0:
        return 0
    if received is not None:
        raise Interrupted(received)
    if status - 128 in SIGNALS:
        # It was interrupted from outside.
        raise Interrupted(status - 128)
    if status < 0:
        name = signal.Signals(-status).name
        raise ChildError(
            f"the run was ended by {name}: the machine may lack memory, or room in /dev/shm or the temporary folder; "
            "run the same command again to go on from here"
        )
    return status


def _work(work: Callable[[], int]) -> NoReturn:
    """Leave this process with the status of `work`; the watching process reports an interrupt."""
    try:
        status = work()
    except KeyboardInterrupt as interrupt:
        ignore_signals()
        status = interrupt.status if isinstance(interrupt, Interrupted) else 128 + signal.SIGINT
    sys.exit(status)


def _watch(worker: int, watched: set[signal.Signals], *, writing: int | None) -> tuple[int | None, int]:
    """Hand signals on until the worker has ended: the first signal that asked for it, and the worker's status.

    The worker says that it stops where there is a pipe to tell it so (`writing`).
    """
    received: int | None = None
    when = 0.0
    while True:
        number = signal.sigwait(watched)
        if number == signal.SIGCHLD:
            pid, status = os.waitpid(worker, os.WNOHANG)
            if pid == worker:
                return received, os.waitstatus_to_exitcode(status)
        elif number == signal.SIGTSTP:
            os.killpg(worker, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.killpg(worker, signal.SIGCONT)
        elif received is None:
            received, when = number, time.monotonic()
            if writing is None:
                say(STOPPING)
            else:
                with contextlib.suppress(OSError):
                    os.write(writing, b"s")
            os.kill(worker, signal.SIGINT)
        elif time.monotonic() - when > AGAIN_SECONDS:
            os.killpg(worker, signal.SIGKILL)


def _obey(reading: int, stopping: Callable[[], object] | None) -> None:
    """Call `stopping` for each byte; end this process as if it had been killed when the other end is closed."""
    while os.read(reading, 1):
        if stopping is not None:
            stopping()
    os.kill(os.getpid(), signal.SIGKILL)


def _flush() -> None:
    """A stream that was closed from the start (`>&-`) is None."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def say(words: str) -> None:
    """Write a line to standard error, unless it is closed; safe in a signal handler."""
    with contextlib.suppress(OSError):
        os.write(2, f"naturewatch: {words}\n".encode())


def _heard() -> set[signal.Signals]:
    """The signals to handle: SIGHUP stays ignored under `nohup`; SIGINT counts in a script's background jobs, too."""
    return set(SIGNALS) - ({signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set())


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in _heard():
        signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Interrupted(number)
