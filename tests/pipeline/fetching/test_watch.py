"""What takes too long ends at the next look, and nothing else does."""

import asyncio
import time

import pytest

from pipeline.fetching.watch import Watch


async def test_the_overdue_ends_with_a_time_out_and_the_rest_goes_on() -> None:
    watch = Watch()
    released = asyncio.Event()

    async def wait(due: float) -> str:
        async with asyncio.timeout(None) as clock:
            watch.limit(clock, due)
            try:
                await released.wait()
            finally:
                watch.release(clock)
        return "done"

    now = time.monotonic()
    late, early = (asyncio.create_task(wait(due)) for due in (now - 1, now + 3600))
    await asyncio.sleep(0)
    watch.look()
    with pytest.raises(TimeoutError):
        await late
    watch.look()
    released.set()
    assert await early == "done"


async def test_a_later_limit_replaces_an_earlier_one() -> None:
    watch = Watch()
    async with asyncio.timeout(None) as clock:
        watch.limit(clock, time.monotonic() - 1)
        watch.limit(clock, time.monotonic() + 60)
        watch.look()
        await asyncio.sleep(0)
        watch.release(clock)


async def test_what_was_released_is_not_ended() -> None:
    watch = Watch()
    async with asyncio.timeout(None) as clock:
        watch.limit(clock, time.monotonic() - 1)
        watch.release(clock)
        watch.look()
        await asyncio.sleep(0)


async def test_an_end_that_was_asked_for_from_outside_stays_one() -> None:
    watch = Watch()

    async def wait() -> None:
        async with asyncio.timeout(None) as clock:
            watch.limit(clock, time.monotonic() + 60)
            try:
                await asyncio.sleep(60)
            finally:
                watch.release(clock)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    watch.look()
