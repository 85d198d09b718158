"""Ends exchanges that take too long. How long that is, is decided by `download`.

All are looked at together from time to time: a timer for each, set anew at every read, costs a twentieth of what a
request does.
"""

import asyncio
import time


class Watch:
    """What is under way, and when each of it will have taken too long."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._due: dict[asyncio.Timeout, float] = {}

    def limit(self, clock: asyncio.Timeout, due: float) -> None:
        """Let the block of `clock` end with a TimeoutError at the first look after `due`; replaces an earlier limit.

        Args:
            clock: What `asyncio.timeout(None)` gave; the block must `release` it before it ends.
            due: A moment of `time.monotonic`.
        """
        self._due[clock] = due

    def release(self, clock: asyncio.Timeout) -> None:
        """Watch it no longer, where it still is watched."""
        self._due.pop(clock, None)

    def look(self) -> None:
        """End what is overdue; to be called about twice a second inside the event loop."""
        now = time.monotonic()
        late = [clock for clock, due in self._due.items() if due <= now]
        for clock in late:
            del self._due[clock]
            clock.reschedule(asyncio.get_running_loop().time())
