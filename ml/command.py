"""How a command ends: in a sentence, with the status that a shell expects, and quietly where nobody reads on."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

INTERRUPTED: Final = 130
"""128 and the number of SIGINT; of SIGTERM likewise 143, of SIGPIPE 141."""
TERMINATED: Final = 143
PIPE_CLOSED: Final = 141


def complain(message: str) -> None:
    """One line on standard error, unless that was closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"naturewatch: {printable(' '.join(message.split()))}\n")


def printable(text: str) -> str:
    """Text for one line of a terminal: what has no printable form, a byte that is no UTF-8 too, is escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def describe(error: Exception) -> str:
    """What an error says; of a failed system call the file and the reason, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def ending_well(work: Callable[[], int]) -> int:
    """Do `work` and return its status, or the one of what ended it: Ctrl-C, SIGTERM, a closed pipe, a full disk.

    A termination unwinds like an interrupt, so that temporary files are removed.
    """
    # A terminal or a pipe that cannot show a name gets its escape, not an error.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    before = signal.getsignal(signal.SIGTERM)
    main_thread = threading.current_thread() is threading.main_thread()
    if main_thread:
        signal.signal(signal.SIGTERM, _end)
    try:
        status = work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except _TerminatedError:
        complain("terminated")
        return TERMINATED
    except BrokenPipeError:
        # The interpreter would flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, before)
    return status


class _TerminatedError(BaseException):
    """SIGTERM came."""


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise _TerminatedError
