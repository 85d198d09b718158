"""How far the command is, on standard error: a bar with rate and remaining time, where that is a terminal."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """A bar while the block runs; nothing where nobody sees it."""

    _bar: "Progress | None"
    _task: "TaskID | None"

    def __init__(self, *, shown: bool, total: int | None) -> None:
        """Begin at none.

        Args:
            shown: Whether there is a bar.
            total: How many photographs, or organisms, there are; None where that is not known.
        """
        self._bar, self._task = None, None
        if shown:
            from rich.console import Console  # noqa: PLC0415 (only where somebody sees it)
            from rich.progress import (  # noqa: PLC0415
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=Console(stderr=True),
            )  # fmt: skip
            self._task = self._bar.add_task("identify", total=total, rate="")

    def advance(self, count: int) -> None:
        """So many more are done."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, count)
            speed = self._bar.tasks[0].speed
            self._bar.update(self._task, rate="" if speed is None else f"{speed:.1f}/s")

    def __enter__(self) -> Self:
        """Show it."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it as it is, and give the cursor back."""
        self.stop()

    def stop(self) -> None:
        """End it; as often as one likes."""
        if self._bar is not None:
            self._bar.stop()


def seen_by_somebody() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()
