"""How far a fetch is: a live bar in a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

from rich.console import Console
from rich.progress import MofNCompleteColumn, TaskID, TimeRemainingColumn
from rich.progress import Progress as Bar

EVERY_SECONDS: Final = 5.0


class Progress:
    """Counts outcomes and shows them; a context manager.

    Args:
        total: Photographs to ask for.
        log: Told a line every few seconds, and one at the end.
    """

    def __init__(self, *, total: int, log: Callable[[str], object]) -> None:
        self._total = total
        self._log = log
        self._statuses: Counter[str] = Counter()
        self._received = 0
        self._began = self._told = time.monotonic()
        self._bar: Bar | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        """Show the bar where a person watches."""
        if sys.stderr.isatty() and self._total:
            columns = (*Bar.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("photographs", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Say how it ended."""
        if self._bar is not None:
            self._bar.stop()
        self._log(self.line() if self._total else "no photograph has to be asked for")

    def advance(self, status: str, *, received: int) -> None:
        """Count one outcome; `received` in bytes."""
        self._statuses[status] += 1
        self._received += received
        if self._bar is not None:
            self._bar.advance(self._task)
        now = time.monotonic()
        if now - self._told >= EVERY_SECONDS:
            self._told = now
            self._log(self.line())

    def line(self) -> str:
        """Done, rate, what went wrong by kind, time left."""
        done = sum(self._statuses.values())
        seconds = max(time.monotonic() - self._began, 1e-6)
        rate = done / seconds
        kinds = ", ".join(f"{status} {number:,}" for status, number in sorted(self._statuses.items()))
        left = (self._total - done) / rate if rate else 0.0
        return (
            f"{done:,} of {self._total:,} photographs, {rate:,.0f} a second, {self._received / 1e6 / seconds:,.1f} MB "
            f"a second ({kinds or 'none yet'}), {left:,.0f} s left"
        )
