"""What people see of a running fetch: a live bar on a terminal, otherwise a line every few seconds."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES: Final = 5.0


class Report:
    """Counts finished photographs and says how far the fetch is."""

    def __init__(self, *, total: int, log: Callable[[str], object], bar: Progress | None) -> None:
        """Report on `total` photographs, to `bar` when there is one, else to `log`."""
        self.statuses: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        """Attempts that were followed by a retry, by kind."""
        self.bytes = 0
        self.started = time.monotonic()
        self._total = total
        self._log = log
        self._bar = bar
        self._task = bar.add_task("photographs", total=total, note="") if bar else None
        self._last_line = self.started

    @property
    def seconds(self) -> float:
        """Time since the beginning."""
        return time.monotonic() - self.started

    def tick(self) -> None:
        """Show the present state; called about twice a second."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.statuses.total(), note=self._note())
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._log(self.line())

    def line(self) -> str:
        """The present state in one line: photographs, rate, ends other than ok, time left."""
        done = self.statuses.total()
        left = (self._total - done) * self.seconds / done if done else None
        parts = [f"{done:,} of {self._total:,} photographs", self._note()]
        if left is not None and done < self._total:
            parts.append(f"about {left:.0f} s left")
        return ", ".join(parts)

    def _note(self) -> str:
        seconds = max(self.seconds, 1e-9)
        note = f"{self.statuses.total() / seconds:.0f}/s, {self.bytes / seconds / 1e6:.1f} MB/s"
        others = [f"{count:,} {status}" for status, count in sorted(self.statuses.items()) if status != "ok"]
        repeated = [f"{count:,} times {kind}" for kind, count in sorted(self.troubles.items())]
        return ", ".join([note, *others, *(["retries after " + " and ".join(repeated)] if repeated else [])])


@contextlib.contextmanager
def reporting(*, total: int, log: Callable[[str], object]) -> Iterator[Report]:
    """A report for the time of the block; with a bar when standard error is a terminal."""
    if not sys.stderr.isatty():
        yield Report(total=total, log=log, bar=None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True)) as bar:
        report = Report(total=total, log=log, bar=bar)
        yield report
        report.tick()
