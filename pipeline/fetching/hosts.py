"""How hard one host may be asked: slots, request rate, bytes, pauses, and when to leave it alone. No HTTP, no files."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from pipeline.fetching.budget import Budget

FAILURES_BEFORE_CLOSING: Final = 20
"""So many photographs in a row without an answer, and a host may be given up for this run."""
COMPLAINTS_BEFORE_CLOSING: Final = 10
"""So many complaints one after the other without an answer between them, and a host may be given up for this run."""
BURST_SECONDS: Final = 0.05
"""Requests of so long may go out together; beyond that they are evenly spaced."""
SLOWEST: Final = 0.1
"""Requests per second that a complaining host is asked at least."""
RECOVERY: Final = 0.01
"""The share of its full rate that a host gets back with every answer."""
FIRST_ESTIMATE: Final = 500_000
"""Bytes that a photograph is taken for in the budget before the first one has come: a `large` one has about 300,000."""


class ClosedError(Exception):
    """The host is left alone in this run: it was not asked."""

    def __init__(self, host: "Host") -> None:
        super().__init__(f"not asked: {host.closed}")
        self.host = host


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long the fetcher waits, in seconds, and how often it tries."""

    connect: float = 10.0
    first_byte: float = 60.0
    """The longest wait for an answer's first byte, the connection included."""
    silence: float = 30.0
    """The longest pause between two reads of a body."""
    whole: float = 300.0
    """The longest time for one body, so that a dripping one ends."""
    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_pause: float = 300.0
    """A host that asks for a longer pause (Retry-After) is left alone for this run."""
    give_up: float = 60.0
    """A host that has not answered, or only complained, for so long and often enough is left alone for this run."""


class Host:
    """The state of one host.

    Simultaneous requests and the request rate adapt: each answer adds a little to both, each complaint halves them
    (additive increase, multiplicative decrease). Neither ever exceeds what the configuration allows.
    """

    def __init__(
        self,
        name: str,
        *,
        concurrency: int,
        rate: float,
        patience: Patience,
        budget: Budget = Budget(per_hour=None, per_day=None),  # noqa: B008 (without limits it has no state)
        log: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Start at half of the allowed simultaneous requests, inside a running event loop.

        Args:
            name: The host's name, for people.
            concurrency: The most simultaneous requests.
            rate: The most requests per second.
            patience: When to leave the host alone.
            budget: Limits on bytes, on the clock of `time.time`; default none.
            log: Receives a line about each long pause.
        """
        self.name = name
        self.closed: str | None = None
        """Why this run asks the host nothing more."""
        self.opens_at: float | None = None
        """Until when it asked to be left alone, in seconds since the epoch, where that is why."""
        self.requests = 0
        """How many were sent."""
        self.most = concurrency
        """The most simultaneous requests."""
        self._limit = max(1.0, concurrency / 2)
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._fastest = rate
        self._rate = rate
        self._next_at = 0.0
        self._line = asyncio.Lock()
        self._budget = budget
        self._largest = 0
        self._patience = patience
        self._log = log
        self._told_until = 0.0
        self._resume_at = 0.0
        self._decreased_at = 0.0
        self._answered_at = time.monotonic()
        self._failures = 0
        self._complaints = 0

    @property
    def limit(self) -> int:
        """How many requests may run at the moment; no more than their bodies fit into the budget at all."""
        if not self._budget.limited:
            return int(self._limit)
        return max(1, int(min(self._limit, self._budget.smallest / self._expected)))

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

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Hold the place of one request while the block runs; it starts when the request may be sent.

        Raises:
            ClosedError: the host is left alone.
        """
        async with self.slot():
            await self.turn()
            if self.closed is not None:
                raise ClosedError(self)
            self.requests += 1
            yield

    async def turn(self) -> None:
        """Wait until the next request may be sent: after a pause, within the bytes, within the rate.

        It does not wait for a host that is closed; the caller must look.
        """
        # One after the other: requests that waited for the same pause do not leave all at once after it.
        async with self._line:
            # While one waits, others may free bytes, or the host may ask for a longer pause: no event tells.
            while (wait := max(self._next_at - time.monotonic(), self._pause())) > 0:
                if self.closed is not None:
                    return
                await asyncio.sleep(min(wait, 30.0))
            self._next_at = max(self._next_at, time.monotonic() - BURST_SECONDS) + 1 / self._rate

    def received(self, count: int) -> None:
        """A body, or a part of one, of so many bytes came in."""
        if self._budget.limited:
            self._budget.add(count, at=time.time())
            self._largest = max(self._largest, count)

    def answered(self) -> None:
        """The host gave a final answer, good or bad."""
        self._limit = min(float(self.most), self._limit + 1 / self._limit)
        self._rate = min(self._fastest, self._rate + RECOVERY * self._fastest)
        self._answered_at = time.monotonic()
        self._failures = 0
        self._complaints = 0
        if self._waiting:
            self._wake()

    def slow_down(self, *, started: float, pause: float | None, answered: bool) -> None:
        """The host was too slow or asked for less.

        A request that got no answer says nothing about a host that answered others meanwhile: one stalled photograph
        must not hold up the rest.

        Args:
            started: When the request was sent (`time.monotonic`): requests that were under way together count once.
            pause: Seconds that the host asked for.
            answered: Whether the host itself said so, by a status.
        """
        now = time.monotonic()
        if started >= self._decreased_at and (answered or self._answered_at < started):
            self._limit = max(1.0, self._limit / 2)
            self._decreased_at = now
            if answered:
                self._rate = max(min(SLOWEST, self._fastest), self._rate / 2)
                self._complained(now)
        if pause is None:
            return
        if pause > self._patience.longest_pause:
            self.close(f"{self.name} asked for a pause of {pause:.0f} s")
            self.opens_at = max(self.opens_at or 0.0, time.time() + pause)
        else:
            self._resume_at = max(self._resume_at, now + pause)

    def close(self, reason: str) -> None:
        """Leave the host alone for this run."""
        if self.closed is None:
            self.closed = reason

    def gave_up(self, reason: str) -> None:
        """All attempts for one photograph failed."""
        self._failures += 1
        silent = time.monotonic() - self._answered_at
        if self.closed is None and self._failures >= FAILURES_BEFORE_CLOSING and silent >= self._patience.give_up:
            self.close(f"{self.name} has not answered for {silent:.0f} s ({reason})")

    def _complained(self, now: float) -> None:
        """One more complaint; the host is asked ever more rarely, so that photographs are too slow a measure."""
        self._complaints += 1
        silent = now - self._answered_at
        if self.closed is None and self._complaints >= COMPLAINTS_BEFORE_CLOSING and silent >= self._patience.give_up:
            self.close(f"{self.name} has answered nothing but complaints for {silent:.0f} s")

    @property
    def _expected(self) -> int:
        """Bytes that a body under way may come to."""
        return self._largest or FIRST_ESTIMATE

    def _pause(self) -> float:
        """Seconds until the host may be asked, the rate apart."""
        asked = self._resume_at - time.monotonic()
        if not self._budget.limited:
            return asked
        # What is under way counts as if it were as large as the largest so far: limits hold without knowing sizes.
        now = time.time()
        full = self._budget.wait(max(1, self._active) * self._expected, now=now)
        if full > 60 and now > self._told_until:
            self._told_until = now + full
            self._log(f"{self.name}: the byte budget is used up; going on in {full / 60:.0f} min")
        return max(asked, full)

    def _wake(self) -> None:
        free = self.limit - self._active
        while free > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1
