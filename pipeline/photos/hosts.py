"""How hard one host may be asked: slots, request rate, pauses, and when to leave it alone. No HTTP, no files."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiolimiter import AsyncLimiter

FAILURES_BEFORE_CLOSING: Final = 20
"""So many photographs in a row without an answer, and a host may be given up for this run."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the fetcher waits, in seconds, and how often it tries."""

    connect: float = 10.0
    silence: float = 30.0
    """The longest pause before the first byte and between two reads of a body."""
    whole: float = 300.0
    """The longest time for one request, so that a dripping body ends."""
    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_pause: float = 300.0
    """A host that asks for a longer pause (Retry-After) is left alone for this run."""
    give_up: float = 60.0
    """A host that has not answered for so long, and failed often enough, is left alone for this run."""


class Host:
    """The state of one host: additive increase, multiplicative decrease of simultaneous requests (AIMD)."""

    def __init__(self, name: str, *, concurrency: int, rate: float, patience: Patience) -> None:
        """Start at half of the allowed simultaneous requests, inside a running event loop.

        Args:
            name: The host's name, for people.
            concurrency: The most simultaneous requests.
            rate: The most requests per second.
            patience: When to leave the host alone.
        """
        self.name = name
        self.closed: str | None = None
        """Why this run asks the host nothing more."""
        self._most = concurrency
        self._limit = max(1.0, concurrency / 2)
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        # A short burst keeps timers few at high rates; at low rates requests are evenly spaced.
        burst = max(1.0, rate / 20)
        self._limiter = AsyncLimiter(burst, burst / rate)
        self._patience = patience
        self._resume_at = 0.0
        self._decreased_at = 0.0
        self._answered_at = time.monotonic()
        self._failures = 0

    @property
    def limit(self) -> int:
        """How many requests may run at the moment."""
        return int(self._limit)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the simultaneous requests while the block runs; it starts when the host may be asked."""
        while self._active >= self.limit:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            self._wake()

    async def turn(self) -> None:
        """Wait until the next request may be sent: after a pause that the host asked for, and within the rate."""
        while (pause := self._resume_at - time.monotonic()) > 0:  # noqa: ASYNC110 (may grow while it is slept)
            await asyncio.sleep(pause)
        await self._limiter.acquire()

    def answered(self) -> None:
        """The host gave a final answer, good or bad."""
        self._limit = min(float(self._most), self._limit + 1 / self._limit)
        self._answered_at = time.monotonic()
        self._failures = 0
        self._wake()

    def slow_down(self, *, started: float, pause: float | None, answered: bool) -> None:
        """The host was too slow or asked for less.

        A request that got no answer says nothing about a host that answered others meanwhile: one stalled photograph
        must not hold up the rest.

        Args:
            started: When the request began (`time.monotonic`): requests that were under way together count once.
            pause: Seconds that the host asked for.
            answered: Whether the host itself said so, by a status.
        """
        now = time.monotonic()
        if started >= self._decreased_at and (answered or self._answered_at < started):
            self._limit = max(1.0, self._limit / 2)
            self._decreased_at = now
        if pause is None:
            return
        if pause > self._patience.longest_pause:
            self.closed = f"{self.name} asked for a pause of {pause:.0f} s"
        else:
            self._resume_at = max(self._resume_at, now + pause)

    def gave_up(self, reason: str) -> None:
        """All attempts for one photograph failed."""
        self._failures += 1
        silent = time.monotonic() - self._answered_at
        if self.closed is None and self._failures >= FAILURES_BEFORE_CLOSING and silent >= self._patience.give_up:
            self.closed = f"{self.name} has not answered for {silent:.0f} s ({reason})"

    def _wake(self) -> None:
        free = self.limit - self._active
        while free > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1
