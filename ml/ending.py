"""How a command ends before its work is done: at once, with a sentence, and without leaving anything behind."""

import os
import select
import signal
import sys
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Final, NoReturn, TextIO

ENDING: Final = ExitStack()
"""What must be done however the process ends: to end the array of answers, to remove copies of a model."""

CLOSED: Final = 128 + signal.SIGPIPE
"""Exit status when nobody reads on: that of any command which SIGPIPE ends."""


def end_by_signals() -> None:
    """Let SIGINT and SIGTERM end this process with a sentence, unless whoever started it has them ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def takes_more(stream: TextIO) -> bool:
    """Whether a stream can be written to without waiting."""
    return bool(select.select([], [stream], [], 0)[1])


def printable(text: str) -> str:
    """Text for one line of a terminal: what has no printable form, a byte that is no UTF-8 too, is escaped."""
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
