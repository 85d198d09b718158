"""Whether a body is a whole JPEG photograph, and the worker processes that find out and store it. No network.

A decoder is the one place where hostile bytes meet C code. It runs in processes that may crash without harm to the
fetch, and in several, so that decoding takes nothing from the event loop.
"""

import asyncio
import functools
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ml.images.formats import kind_of
from ml.images.jpeg import SIGNATURE, Jpeg, PhotoError
from pipeline.errors import ChildError
from pipeline.photos.bodies import store

WORKERS: Final = max(1, min(8, os.cpu_count() or 1))
_CRASHES: Final = {-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL}
"""Exit statuses of a process whose decoder has crashed."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a body is."""

    status: str
    """`ok`, `not_jpeg`, `corrupt` or `too_large`."""
    width: int | None = None
    """Pixels, before any EXIF rotation; known when the header could be read."""
    height: int | None = None
    error: str | None = None
    sha256: str | None = None
    """Of the body, in hexadecimal; None where the decoder crashed on it."""


def verify(content: bytes, *, max_pixels: int) -> Verdict:
    """Judge a body.

    The size is read from the header before anything is decoded. The whole stream is then entropy-decoded at one
    eighth of the size, by the same reader that decodes it later: a body that ends early or is damaged inside does not
    pass, nor does one that could not be packed later. Bytes after the end of the image are accepted, because cameras
    append previews and maker notes there, and so is padding before it.

    Args:
        content: The body.
        max_pixels: The largest accepted width times height.
    """
    if not content.startswith(SIGNATURE):
        return Verdict(status="not_jpeg", error=f"the body is {kind_of(content)}")
    try:
        photo = Jpeg.read(content)
    except PhotoError as error:
        return Verdict(status="corrupt", error=f"the header cannot be read: {error}")
    width, height = photo.width, photo.height
    if width * height > max_pixels:
        problem = f"{width} x {height} pixels are more than max_pixels = {max_pixels}"
        return Verdict(status="too_large", width=width, height=height, error=problem)
    try:
        photo.check()
    except PhotoError as error:
        return Verdict(status="corrupt", width=width, height=height, error=f"cannot be decoded: {error}")
    return Verdict(status="ok", width=width, height=height)


class Verifier:
    """Worker processes that judge bodies, and store those that are photographs.

    Leaving its context ends the workers, also those that are at work.

    Args:
        folder: The folder of stored photographs (`Paths.photos`).
        judge: Decides what a body is; a function of a module, or a `functools.partial` of one, such as `verify`.
    """

    def __init__(self, *, folder: Path, judge: Callable[[bytes], Verdict]) -> None:
        self._work = functools.partial(_examined, folder=folder, judge=judge)
        self._pool = _new_pool(WORKERS)
        self._single = _new_pool(1)
        """One worker for bodies that are tried alone, one after the other."""
        self._turn = asyncio.Lock()

    def __enter__(self) -> Self:
        """Nothing is started before the first body."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the workers."""
        _end(self._pool)
        _end(self._single)

    async def examine(self, body: bytes) -> Verdict:
        """Judge a body, and store it if it is a photograph.

        A worker that dies takes all bodies with it that the pool had then; each is tried once more, and then alone.

        Raises:
            OSError: it cannot be stored.
            ChildError: workers do not start, or the worker of this body alone was ended from outside, or for want of
                memory, which says nothing about the body.
        """
        for _ in range(2):
            pool = self._pool
            try:
                return await _submitted(pool, self._work, body)
            except BrokenProcessPool:
                if pool is self._pool:
                    _end(pool)
                    self._pool = _new_pool(WORKERS)
        async with self._turn:
            return await self._examine_alone(body)

    async def _examine_alone(self, body: bytes) -> Verdict:
        workers: list[BaseProcess] = []
        try:
            verdict = _submitted(self._single, self._work, body)
            workers = _workers(self._single)
            return await verdict
        except BrokenProcessPool:
            _end(self._single)
            self._single = _new_pool(1)
        if not workers:
            # It was ended before it had the body.
            return await self._examine_alone(body)
        status = workers[0].exitcode
        if status in _CRASHES:
            return Verdict(status="corrupt", error=f"the decoder crashed on it ({signal.Signals(-status).name})")
        raise ChildError(
            f"a process that verifies photographs ended with status {status}; the machine may lack memory; start again"
        )


def _examined(body: bytes, *, folder: Path, judge: Callable[[bytes], Verdict]) -> Verdict:
    """What a worker does with a body."""
    verdict = replace(judge(body), sha256=hashlib.sha256(body).hexdigest())
    if verdict.status == "ok" and verdict.sha256 is not None:
        store(folder, sha256=verdict.sha256, content=body)
    return verdict


def _new_pool(workers: int) -> ProcessPoolExecutor:
    """A pool that starts its workers when there is work, as new processes: a fork would copy the threads' locks."""
    context = multiprocessing.get_context("spawn")
    try:
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    except OSError as error:
        raise ChildError(
            f"no pool of processes can be made ({error}); make room in /dev/shm, then start again"
        ) from error


def _submitted(pool: ProcessPoolExecutor, work: Callable[[bytes], Verdict], body: bytes) -> "asyncio.Future[Verdict]":
    try:
        verdict = pool.submit(work, body)
    except OSError as error:
        raise ChildError(f"a process that verifies photographs did not start: {error}") from error
    # A pool that breaks sets an error for each body, which fails for those that were cancelled.
    return asyncio.shield(asyncio.wrap_future(verdict))


def _workers(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    """The processes of a pool; Python 3.14 has `kill_workers`, earlier versions no public way to them."""
    return list((pool._processes or {}).values())


def _end(pool: ProcessPoolExecutor) -> None:
    """End the workers of a pool, whatever they are doing."""
    for worker in _workers(pool):
        worker.kill()
    pool.shutdown()


def _start_worker() -> None:
    """Prepare a worker: it ends with its parent, and only its parent decides about interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A parent that ignores the request to end hands that down.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
