"""Runs an event loop as a plain call: an interrupt ends it where it waits, and errors are raised as they are."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from pipeline.errors import NatureWatchError

T = TypeVar("T")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end.

    Raises:
        KeyboardInterrupt: on SIGINT or SIGTERM, unless the handler of the signal raises an interruption of its own.
        BaseException: what `main` raised; of several errors of task groups, without the groups, the one that tells
            people most.
    """
    try:
        asyncio.run(cancelled_by_signals(main))
    except BaseExceptionGroup as group:
        error = min(_leaves(group), key=_weight)
        raise error from error.__cause__
    except asyncio.CancelledError as error:
        # The signal's own handler raised nothing.
        raise KeyboardInterrupt from error


async def cancelled_by_signals(main: Coroutine[Any, Any, T]) -> T:
    """Await `main`; SIGINT and SIGTERM cancel it where it waits, and then go to their previous handlers.

    A handler that raises while an event loop runs may hit a callback, where the error is logged and forgotten.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals are handled in the main thread alone.
        return await main
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def cancel(number: int) -> None:
        received.append(number)
        assert task is not None  # noqa: S101 (this is a coroutine)
        task.cancel()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        loop.add_signal_handler(number, cancel, number)
    try:
        return await main
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _weight(error: BaseException) -> int:
    """How much an error tells people, the least most: an interruption, one made for them, the file system's."""
    if not isinstance(error, Exception):
        return 0
    return 1 if isinstance(error, NatureWatchError) else 2 if isinstance(error, OSError) else 3
