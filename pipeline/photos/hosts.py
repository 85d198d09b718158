"""How hard one host may be asked: concurrency that adapts, a request rate, and pauses that the host asks for."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from aiolimiter import AsyncLimiter

SLOW_START: Final = 4.0
"""Simultaneous requests to a host that has not answered yet."""
ONE_COMPLAINT: Final = 1.0
"""Seconds within which several complaints of a host are one: requests that ran together fail together."""


class Host:
    """The gate in front of one host: additive increase of concurrency, multiplicative decrease (AIMD).

    Args:
        concurrency: Most simultaneous requests.
        requests_per_second: Most requests begun per second.
    """

    def __init__(self, *, concurrency: int, requests_per_second: float) -> None:
        self._most = float(concurrency)
        self._allowed = min(SLOW_START, self._most)
        self._active = 0
        self._resume_at = 0.0
        self._complained_at = float("-inf")
        self._changed = asyncio.Condition()
        # A bucket of a tenth of a second keeps the rate even without waking for every single request.
        period = max(0.1, 1 / requests_per_second)
        self._limiter = AsyncLimiter(max(requests_per_second * period, 1.0), period)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it while the block runs."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._active < int(self._allowed))
            self._active += 1
        try:
            await self._pause()
            await self._limiter.acquire()
            # The host may have asked for a pause while this turn waited for the rate.
            await self._pause()
            yield
        finally:
            async with self._changed:
                self._active -= 1
                self._changed.notify()

    def succeeded(self) -> None:
        """The host answered well: one more request at a time per round of answers."""
        self._allowed = min(self._most, self._allowed + 1 / self._allowed)

    def struggled(self, *, retry_after: float | None) -> None:
        """The host asked for less, or did not answer: half the concurrency, and silence for as long as it says."""
        now = time.monotonic()
        if now - self._complained_at >= ONE_COMPLAINT:
            self._allowed = max(1.0, self._allowed / 2)
            self._complained_at = now
        if retry_after is not None:
            self._resume_at = max(self._resume_at, now + retry_after)

    async def _pause(self) -> None:
        # The end of the pause moves when the host asks again, so there is no event to wait for.
        while (wait := self._resume_at - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait)
