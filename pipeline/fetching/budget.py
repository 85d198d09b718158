"""How many bytes a host may send: limits over sliding windows of time. No HTTP, no waiting."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

HOUR: Final = 3600.0
DAY: Final = 86_400.0
_BINS: Final = 120
"""A window is counted in so many steps: bytes count up to 1/120 of it longer than they must."""


@dataclass(kw_only=True)
class Window:
    """One limit: at most `limit` bytes in any `seconds`."""

    seconds: float
    limit: float
    _spent: deque[tuple[float, int]] = field(default_factory=deque, init=False)
    """(end of the step, bytes), the oldest first."""
    _total: int = field(default=0, init=False)

    def add(self, count: int, *, at: float) -> None:
        """Bytes came in at a moment; moments do not go back."""
        step = self.seconds / _BINS
        end = (at // step + 1) * step
        if self._spent and self._spent[-1][0] >= end:
            self._spent[-1] = (self._spent[-1][0], self._spent[-1][1] + count)
        else:
            self._spent.append((end, count))
        self._total += count

    def wait(self, count: int, *, now: float) -> float:
        """Seconds until `count` more bytes fit; more than the limit fit into an empty window."""
        while self._spent and self._spent[0][0] <= now - self.seconds:
            self._total -= self._spent.popleft()[1]
        excess = self._total + count - self.limit
        if excess <= 0 or not self._spent:
            return 0.0
        for end, spent in self._spent:
            excess -= spent
            if excess <= 0:
                return end + self.seconds - now
        return self._spent[-1][0] + self.seconds - now


class Budget:
    """The limits of one host over an hour and over a day."""

    def __init__(
        self, *, per_hour: float | None, per_day: float | None, spent: Iterable[tuple[float, int]] = ()
    ) -> None:
        """Begin with what earlier runs received.

        Args:
            per_hour: Bytes in any hour; None for no limit.
            per_day: Bytes in any day; None for no limit.
            spent: (moment in seconds, bytes) of earlier bodies, on the clock of `wait` and `add`.
        """
        limits = ((HOUR, per_hour), (DAY, per_day))
        self._windows = [Window(seconds=seconds, limit=limit) for seconds, limit in limits if limit is not None]
        self.limited = bool(self._windows)
        self.smallest = min((window.limit for window in self._windows), default=math.inf)
        """Bytes that fit when nothing was received for a day."""
        for moment, count in sorted(spent):
            self.add(count, at=moment)

    def add(self, count: int, *, at: float) -> None:
        """Bytes came in."""
        for window in self._windows:
            window.add(count, at=at)

    def wait(self, count: int, *, now: float) -> float:
        """Seconds until `count` more bytes fit into every window."""
        return max((window.wait(count, now=now) for window in self._windows), default=0.0)
