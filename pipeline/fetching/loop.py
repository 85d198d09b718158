"""Runs an event loop as a plain call: it ends when the process is interrupted, and raises errors as they are."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import uvloop

from pipeline.errors import NatureWatchError
from pipeline.fetching.event_loop import cancelled_by_signals


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end.

    Raises:
        KeyboardInterrupt: on SIGINT or SIGTERM, unless the handler of the signal raises an interruption of its own.
        BaseException: what `main` raised; of several errors of task groups, without the groups, the one that tells
            people most.
    """
    try:
        uvloop.run(cancelled_by_signals(main))
    except BaseExceptionGroup as group:
        error = min(_leaves(group), key=_weight)
        raise error from error.__cause__
    except asyncio.CancelledError as error:
        # The signal's own handler raised nothing.
        raise KeyboardInterrupt from error


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
