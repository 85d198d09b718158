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
    try:
        # Line buffered; a disk, pipe or terminal that is gone must not end the run.
        with open(saved[2], "w", buffering=1, encoding="utf-8", errors="replace", closefd=False) as people:
            for number in saved:
                os.dup2(file, number)
            try:
                yield RunLog(path=path, people=people, terminal=terminal)
            finally:
                with contextlib.suppress(OSError):
                    # The disk may be full.
                    _flush()
                for number, copy in saved.items():
                    os.dup2(copy, number)
    finally:
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
