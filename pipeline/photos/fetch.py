"""Fetches photographs: politely, resumably, and so that no answer stops the others.

What one request is, is in `download`; how hard a host is asked, in `hosts`; what is remembered, in `ledger`.
"""

import asyncio
import hashlib
import os
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import aiohttp
import pyarrow.parquet as pq
from yarl import URL

from pipeline.config import PhotoSettings, Settings
from pipeline.files import exclusive
from pipeline.paths import Paths
from pipeline.photos.addresses import GuardedResolver
from pipeline.photos.download import Getter, PermanentError, TransientError
from pipeline.photos.hosts import Host, Patience
from pipeline.photos.ledger import Entry, Journal, fold, limits_of, open_journal, pending, store
from pipeline.photos.progress import Report, reporting
from pipeline.photos.verify import Verdict, verify
from pipeline.query import count

WAITING: Final = 20_000
"""Photographs that are held in memory at a time, waiting or under way."""
FLUSH_SECONDS: Final = 0.5
"""What a kill can lose."""
THREADS: Final = max(2, min(8, os.cpu_count() or 2))
"""Threads that verify and store bodies; decoding and hashing leave Python's lock."""


@dataclass(frozen=True, kw_only=True)
class FetchSummary:
    """What one run did."""

    requests: int
    """HTTP requests sent, repeated and redirected ones included."""
    statuses: dict[str, int]
    """Photographs of the ledger by status."""
    bytes: int
    """Bytes of the bodies received in this run."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Photo:
    photo_id: str
    url: str


def fetch_photos(
    paths: Paths,
    settings: Settings,
    *,
    hosts: Mapping[str, tuple[str, int]],
    log: Callable[[str], object],
    patience: Patience = Patience(),  # noqa: B008 (frozen)
) -> FetchSummary:
    """Fetch what is missing of the photo index, then write the ledger and its rejections.

    A run asks only for photographs that were never asked for, failed for a passing reason, or whose file is gone. It
    can be killed at any moment: what was finished half a second before is kept, and the next run goes on from there.

    Args:
        paths: Where the files of the scope lie.
        settings: The section `photos`.
        hosts: Hosts that are reached at a fixed IP address and port, by name, although it may be private: the replica.
        log: Receives a line about every five seconds.
        patience: How long to wait for hosts.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
        LockedError: another fetch into the same folder is running.
        OSError: a photograph cannot be written.
    """
    with exclusive(paths.fetch_journal.parent / ".lock"), tempfile.TemporaryDirectory(prefix="fetch.") as folder:
        limits = limits_of(settings.photos, tuple(hosts))
        wanted = pending(paths, limits=limits, output=Path(folder) / "pending.parquet")
        total = count(wanted)
        log(f"{total:,} of {count(paths.table('photo_index')):,} photographs are to be fetched")
        with open_journal(paths.fetch_journal) as journal, reporting(total=total, log=log) as report:
            fetcher = _Fetcher(
                photos=settings.photos,
                folder=paths.photos,
                hosts=hosts,
                journal=journal,
                limits=limits,
                patience=patience,
                report=report,
            )
            if total:
                try:
                    asyncio.run(fetcher.run(wanted))
                except BaseExceptionGroup as group:
                    raise _first(group) from group
        if total:
            log(report.line())
        return FetchSummary(requests=fetcher.requests, statuses=fold(paths), bytes=report.bytes, seconds=report.seconds)


class _Fetcher:
    """One run: a queue and workers for each host, all in one event loop."""

    def __init__(
        self,
        *,
        photos: PhotoSettings,
        folder: Path,
        hosts: Mapping[str, tuple[str, int]],
        journal: Journal,
        limits: str,
        patience: Patience,
        report: Report,
    ) -> None:
        self.requests = 0
        self._photos = photos
        self._folder = folder
        self._fixed = hosts
        self._journal = journal
        self._limits = limits
        self._patience = patience
        self._report = report
        self._hosts: dict[str, Host] = {}
        self._queues: dict[str, deque[_Photo]] = {}
        self._workers: dict[str, int] = {}
        self._room = asyncio.Semaphore(WAITING)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="verify")

    async def run(self, wanted: Path) -> None:
        """Fetch every photograph of `wanted` (photo_id, url); each ends in a line of the journal."""
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=GuardedResolver(hosts=self._fixed, allow_private=self._photos.allow_private_hosts),
            ttl_dns_cache=300,
        )
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._patience.connect, sock_read=self._patience.silence
        )
        headers = {
            "User-Agent": f"NatureWatch/{version('naturewatch')} (+{self._photos.contact})",
            "Accept": "image/jpeg",
            # A compressed answer could unfold to any size; JPEG gains nothing from it.
            "Accept-Encoding": "identity",
        }
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers=headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        try:
            async with session, asyncio.TaskGroup() as outer:
                getter = Getter(
                    session=session,
                    max_bytes=self._photos.max_bytes,
                    allow_private=self._photos.allow_private_hosts,
                    whole=self._patience.whole,
                    turn=self._turn,
                )
                ticker = outer.create_task(self._tick())
                async with asyncio.TaskGroup() as workers:
                    await self._produce(wanted, getter=getter, workers=workers)
                ticker.cancel()
        finally:
            self._pool.shutdown()
            self._journal.flush()

    async def _produce(self, wanted: Path, *, getter: Getter, workers: asyncio.TaskGroup) -> None:
        """Hand out photographs to their hosts' queues, and start workers where there are too few."""
        with pq.ParquetFile(wanted) as table:
            for batch in table.iter_batches(batch_size=10_000):
                for row in batch.to_pylist():
                    await self._room.acquire()
                    name = _host_of(row["url"])
                    self._queues.setdefault(name, deque()).append(_Photo(**row))
                    if self._workers.get(name, 0) < self._photos.concurrency:
                        self._workers[name] = self._workers.get(name, 0) + 1
                        workers.create_task(self._work(name, getter=getter))

    async def _work(self, name: str, *, getter: Getter) -> None:
        """Fetch the photographs of one host until its queue is empty."""
        queue = self._queues[name]
        while queue:
            entry = await self._fetch(queue.popleft(), host=self._host(name), getter=getter)
            self._journal.append(entry)
            self._report.statuses[entry.status] += 1
            self._room.release()
        self._workers[name] -= 1

    async def _fetch(self, photo: _Photo, *, host: Host, getter: Getter) -> Entry:
        """All attempts for one photograph."""
        attempt = 0
        error, http_status = "", None
        while attempt < self._patience.attempts and host.closed is None:
            if attempt:
                await asyncio.sleep(self._wait(attempt))
            started = time.monotonic()
            attempt += 1
            try:
                async with host.slot():
                    body = await getter.get(photo.url)
            except PermanentError as problem:
                host.answered()
                return self._entry(
                    photo, problem.status, attempts=attempt, http_status=problem.http_status, error=str(problem)
                )
            except TransientError as problem:
                error, http_status = str(problem), problem.http_status
                host.slow_down(started=started, pause=problem.pause, answered=problem.http_status is not None)
                continue
            host.answered()
            return await self._examined(photo, body, attempts=attempt)
        host.gave_up(error)
        if host.closed is not None:
            error = f"{error}; {host.closed}" if error else f"not asked: {host.closed}"
        return self._entry(photo, "failed", attempts=attempt, http_status=http_status, error=error)

    async def _examined(self, photo: _Photo, body: bytes, *, attempts: int) -> Entry:
        """Verify and store a body off the event loop."""
        self._report.bytes += len(body)
        loop = asyncio.get_running_loop()
        verdict, sha256 = await loop.run_in_executor(self._pool, examine, body, self._photos.max_pixels, self._folder)
        return Entry(
            photo_id=photo.photo_id,
            url=photo.url,
            status=verdict.status,
            http_status=200,
            sha256=sha256,
            bytes=len(body),
            width=verdict.width,
            height=verdict.height,
            attempts=attempts,
            error=verdict.error,
            limits=self._limits,
        )

    def _entry(self, photo: _Photo, status: str, *, attempts: int, http_status: int | None, error: str) -> Entry:
        """The end of a photograph that sent no body."""
        return Entry(
            photo_id=photo.photo_id,
            url=photo.url,
            status=status,
            http_status=http_status,
            attempts=attempts,
            error=error[:500],
            limits=self._limits,
        )

    def _host(self, name: str) -> Host:
        if name not in self._hosts:
            self._hosts[name] = Host(
                name,
                concurrency=self._photos.concurrency,
                rate=self._photos.requests_per_second,
                patience=self._patience,
            )
        return self._hosts[name]

    async def _turn(self, name: str) -> None:
        await self._host(name.lower()).turn()
        self.requests += 1

    def _wait(self, attempt: int) -> float:
        """Exponential back-off with jitter, so that photographs that failed together do not return together."""
        longest = min(self._patience.longest_wait, self._patience.first_wait * 2.0 ** (attempt - 1))
        return random.uniform(longest / 2, longest)  # noqa: S311 (no secret)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._journal.flush()
            self._report.tick()


def examine(body: bytes, max_pixels: int, folder: Path) -> tuple[Verdict, str]:
    """Verify a body and store it under its SHA-256 when it is a photograph; runs in a thread."""
    verdict = verify(body, max_pixels=max_pixels)
    sha256 = hashlib.sha256(body).hexdigest()
    if verdict.status == "ok":
        store(folder, sha256=sha256, content=body)
    return verdict, sha256


def _host_of(url: str) -> str:
    """Whose queue an address belongs to; addresses without a host share one, they are refused later."""
    try:
        return (URL(url).host or "").lower()
    except ValueError:
        return ""


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, out of the task groups' wrapping."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
