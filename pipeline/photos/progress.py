"""How far a running fetch has come: a line from time to time, from which `naturewatch run` also draws its bar."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

MOST_SECONDS: Final = 10.0
"""Between two lines of a long fetch; at its beginning they come every second."""


class Report:
    """Counts finished photographs and says how far the fetch is."""

    def __init__(self, *, total: int, log: Callable[[str], object]) -> None:
        """Report on `total` photographs to `log`."""
        self.statuses: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        """Attempts that were followed by a retry, by kind."""
        self.bytes = 0
        self.started = time.monotonic()
        self._total = total
        self._log = log
        self._last_line = self.started

    @property
    def seconds(self) -> float:
        """Time since the beginning."""
        return time.monotonic() - self.started

    def tick(self) -> None:
        """Show the present state; called about twice a second."""
        pause = min(MOST_SECONDS, max(1.0, self.seconds / 30))
        if time.monotonic() - self._last_line >= pause:
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
