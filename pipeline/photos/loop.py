"""Runs an event loop as a plain call: it ends when the process is interrupted, and raises errors as they are."""

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

import uvloop

from pipeline.errors import NatureWatchError


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end.

    Raises:
        KeyboardInterrupt: on SIGINT or SIGTERM, unless the handler of the signal raises an interruption of its own.
        BaseException: what `main` raised; of several errors of task groups, without the groups, the one that tells
            people most.
    """
    interruptions = _Interruptions()
    try:
        uvloop.run(interruptions.guarded(main))
    except BaseExceptionGroup as group:
        if not interruptions.received:
            error = min(_leaves(group), key=_weight)
            raise error from error.__cause__
    except asyncio.CancelledError:
        if not interruptions.received:
            raise
    finally:
        interruptions.restore()
    interruptions.deliver()


class _Interruptions:
    """Signals that came while an event loop ran: it only logs what their handlers raise, so they are called later."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}

    async def guarded(self, main: Coroutine[Any, Any, None]) -> None:
        """Run `main`, and cancel it when a signal comes."""
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main)

        def cancel(number: int, frame: FrameType | None) -> None:
            del frame
            self.received.append(number)
            loop.call_soon_threadsafe(task.cancel)

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, cancel)
        await task

    def restore(self) -> None:
        """Give the signals their handlers back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def deliver(self) -> None:
        """Call the handler of the first signal that came; where it raises nothing, KeyboardInterrupt is raised."""
        for number in self.received:
            self._handlers[number](number, None)
            raise KeyboardInterrupt


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
