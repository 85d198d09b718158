"""How a process that is asked to end does so: a command at once with a sentence, training with a checkpoint."""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn, TextIO

ENDING: Final = ExitStack()
"""Called when the process ends, normally or not: ends the array of answers, removes copies of a model."""

CLOSED: Final = 128 + signal.SIGPIPE
"""Exit status when the reader of standard output has gone: that of a command which SIGPIPE ends."""


def end_by_signals() -> None:
    """Let SIGINT and SIGTERM end this process with a sentence; signals that are ignored stay so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set while the block runs, for work that ends with a checkpoint."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        # A terminal and Dagster may both send one for the same interrupt: a second signal changes nothing.
        del number, frame
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def takes_more(stream: TextIO) -> bool:
    """Whether a stream can be written to without waiting."""
    return bool(select.select([], [stream], [], 0)[1])


def printable(text: str) -> str:
    """Text for one line of a terminal: what cannot be printed, or is not UTF-8, is escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def complain(message: str) -> None:
    """One line on standard error, where there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"naturewatch: {printable(' '.join(message.split()))}\n")


def _end(number: int, _: FrameType | None) -> NoReturn:
    # An exception could be lost in an import that takes seconds, or come out as a trace.
    with suppress(Exception):
        ENDING.close()
    with suppress(Exception):
        if takes_more(sys.stderr):
            sys.stderr.write(f"naturewatch: {'interrupted' if number == signal.SIGINT else 'asked to end'}\n")
            sys.stderr.flush()
    os._exit(128 + number)
