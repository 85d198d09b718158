"""How far a long computation has come: a bar in a terminal, a line every few seconds elsewhere. Computes nothing."""

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ml.child.pipes import Reporter, is_first_rank

LINE_SECONDS = 10.0
"""Between two lines where there is no terminal."""


class Meter:
    """Counts photographs and reports the count from time to time."""

    def __init__(self, *, title: str, total: int, reporter: Reporter, bar: Progress | None) -> None:
        """Count up to `total` photographs of the work `title`."""
        self._title, self._total, self._reporter, self._bar = title, total, reporter, bar
        self._task = bar.add_task(title, total=total, note="") if bar else None
        self._done = 0
        self._last = time.monotonic()
        self._last_done = 0

    def advance(self, photos: int, *, note: str = "") -> None:
        """Count `photos` more; `note` is shown with the count."""
        self._done += photos
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=photos, note=note)
            return
        now = time.monotonic()
        if now - self._last >= LINE_SECONDS:
            speed = (self._done - self._last_done) / (now - self._last)
            tail = f", {note}" if note else ""
            self._reporter.info(f"{self._title}: {self._done}/{self._total} photographs, {speed:.0f} a second{tail}")
            self._last, self._last_done = now, self._done


@contextlib.contextmanager
def meter(title: str, *, total: int, reporter: Reporter) -> Iterator[Meter]:
    """Yield a meter for `total` photographs."""
    if not (sys.stderr.isatty() and is_first_rank()):
        yield Meter(title=title, total=total, reporter=reporter, bar=None)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield Meter(title=title, total=total, reporter=reporter, bar=bar)
