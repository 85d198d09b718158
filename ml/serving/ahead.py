"""Work done ahead of who waits for it: in threads, bounded, handed out in the order of its items."""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS: Final = min(16, max(4, os.cpu_count() or 1))
"""Decoders of photographs release Python's lock, and so does whoever waits for a disk or a network."""


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, most: int, threads: int = THREADS
) -> Iterator[Result]:
    """What `work` makes of each item, in their order, computed while earlier results are used.

    Items are taken in the thread of the caller. When the caller stops early, what has not begun is dropped, and what
    has begun is not waited for.

    Args:
        work: Called in threads, at several items at a time; what it raises is raised where its result is due.
        items: Any number of them, also an endless stream.
        most: How many items are held at most, done or not.
        threads: How many are worked on at a time.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, of which the next is made, in a thread of its own, while the caller uses one."""
    end = object()
    for item in ahead(lambda made: next(made, end), itertools.repeat(items), most=2, threads=1):
        if item is end:
            return
        yield item  # type: ignore[misc]
