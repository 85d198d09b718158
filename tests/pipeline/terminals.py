"""Commands in a real pseudo-terminal, and what a person would read there."""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SECONDS = 300.0
"""A machine under load may take long: a wait for the end, not a measure of speed."""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\|\r")
"""What moves the cursor, colours or links, and is not read."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a command wrote to its terminal."""

    status: int
    raw: str

    @property
    def lines(self) -> list[str]:
        """All lines that were ever drawn, without colours."""
        return [line.rstrip() for line in CONTROL.sub("", self.raw).split("\n")]

    @property
    def pictures(self) -> list[list[str]]:
        """The pictures of the live table, each as its lines: one begins where the last one was erased."""
        found = re.split(r"(?:\x1b\[1A\x1b\[2K)+|\x1b\[2J", self.raw)
        return [[line.rstrip() for line in CONTROL.sub("", each).split("\n")] for each in found]

    @property
    def final(self) -> list[str]:
        """What stays on the terminal, from the last picture on."""
        return self.pictures[-1]


def in_terminal(
    command: Sequence[str], *, columns: int, rows: int = 24, environment: Mapping[str, str] | None = None,
    interrupt_at: str | None = None, resize_at: tuple[str, int, int] | None = None,
) -> Shown:  # fmt: skip
    """Run a command in a terminal of this size.

    Args:
        command: The command.
        columns: Of the window.
        rows: Of the window.
        environment: Added to this process's.
        interrupt_at: Press Ctrl-C once these words have come.
        resize_at: Once these words have come, give the window these columns and rows.
    """
    ours, theirs = os.openpty()
    _resize(ours, columns, rows)
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", **(environment or {})},
    )  # fmt: skip
    os.close(theirs)
    said, deadline = b"", time.monotonic() + SECONDS
    while True:
        if not select.select([ours], [], [], 1.0)[0]:
            assert time.monotonic() < deadline, said.decode(errors="replace")
            continue
        with contextlib.suppress(OSError):
            if more := os.read(ours, 65536):
                said += more
                if interrupt_at is not None and interrupt_at.encode() in said:
                    process.send_signal(signal.SIGINT)
                    interrupt_at = None
                if resize_at is not None and resize_at[0].encode() in said:
                    _resize(ours, *resize_at[1:])
                    resize_at = None
                continue
        break
    os.close(ours)
    return Shown(status=process.wait(timeout=SECONDS), raw=said.decode(errors="replace"))


def _resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
