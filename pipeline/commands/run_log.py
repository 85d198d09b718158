"""The log file of a run: standard output and error of this process and its children, while people see something else.

Libraries, warnings and Dagster's own lines go to the file. What people see is written to the streams as they were.
"""

import contextlib
import datetime as dt
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pipeline.paths import Paths


@dataclass(frozen=True, kw_only=True)
class RunLog:
    """An open log file, and standard error as it was before."""

    path: Path
    people: TextIO
    """Where people read."""
    terminal: bool
    """Whether that is a terminal that can draw."""
    file: int
    """The descriptor of the log: steps and their children are captured before they reach it."""

    def note(self, line: str) -> None:
        """Write a line to the log, unless the disk is full."""
        with contextlib.suppress(OSError):
            os.write(self.file, f"{line}\n".encode())


def log_file(paths: Paths, *, run_id: str) -> Path:
    """The path of a new log: when the run began, and the first digits of its number."""
    return paths.logs / f"{dt.datetime.now():%Y%m%d-%H%M%S}-{run_id[:8]}.log"  # noqa: DTZ005 (people's own time)


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[RunLog]:
    """Send all that this process and its children print to `path` while the block runs.

    Descriptors 1 and 2 are replaced, not Python's streams: Dagster, DuckDB and child processes write to them, too.

    Raises:
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    _flush()
    saved = {number: _copy(number) for number in (1, 2)}
    terminal = os.isatty(saved[2]) and os.environ.get("TERM", "dumb") != "dumb"
    people = open(saved[2], "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 (a descriptor, closed below)
    try:
        for number in saved:
            os.dup2(file, number)
        yield RunLog(path=path, people=people, terminal=terminal, file=file)
    finally:
        # The disk may be full, and the terminal closed: what is left to be written is lost then.
        with contextlib.suppress(OSError):
            _flush()
        with contextlib.suppress(OSError):
            people.close()
        for number, copy in saved.items():
            os.dup2(copy, number)
        for descriptor in (file, *saved.values()):
            os.close(descriptor)


def _copy(number: int) -> int:
    """Another descriptor of a standard stream; of one that was closed from the start, of nothing."""
    try:
        return os.dup(number)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
