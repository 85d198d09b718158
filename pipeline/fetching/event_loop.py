"""Signals and event loops: an interrupt ends a coroutine where it waits."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def cancelled_by_signals(main: Coroutine[Any, Any, T]) -> T:
    """Await `main`; SIGINT and SIGTERM cancel it where it waits, and then go to whoever handled them before.

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
