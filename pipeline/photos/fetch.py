"""Fetches photographs: politely, resumably, and so that no answer stops the others.

What one request is, is in `download`; how hard a host is asked, in `hosts`; what a body is, in `examine`; what is
remembered, in `journal` and `ledger`.
"""

import asyncio
import contextlib
import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import aiohttp
import pyarrow.parquet as pq
import uvloop
from yarl import URL

from pipeline.child import in_child
from pipeline.config import PhotoSettings, Settings
from pipeline.event_loop import cancelled_by_signals
from pipeline.files import exclusive, work_folder
from pipeline.paths import Paths
from pipeline.photos.addresses import GuardedResolver
from pipeline.photos.budget import Budget
from pipeline.photos.download import ClosedError, Exchange, Getter, PermanentError, TransientError
from pipeline.photos.examine import Examined, Examiner, worker_command
from pipeline.photos.hosts import Host, Patience
from pipeline.photos.journal import AGAIN, Attempt, Journal, open_journal
from pipeline.photos.ledger import Authority, conclude, limits_of, plan
from pipeline.photos.progress import Report, reporting
from pipeline.photos.watch import Watch
from pipeline.query import count

FLUSH_SECONDS: Final = 0.5
"""What a kill can lose, together with `examine.BATCH_SECONDS`."""
MOST_HOSTS: Final = 64
"""Hosts that are asked at a time."""
SLICE: Final = 5_000
"""Photographs of a host that are held in memory at a time."""


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


@dataclass(kw_only=True, slots=True)
class _Photo:
    photo_id: str
    url: str
    attempt: int = 0
    """Requests that were made for it in this run, redirects apart."""


def fetch_photos(
    paths: Paths,
    settings: Settings,
    *,
    hosts: Mapping[str, tuple[str, int]],
    log: Callable[[str], object],
    patience: Patience = Patience(),  # noqa: B008 (frozen)
    worker: Sequence[str] | None = None,
) -> FetchSummary:
    """Fetch what is missing of the photo index, then write the ledger and its rejections.

    A run asks only for photographs that were never asked for, failed for a passing reason, or whose file is gone. It
    can be killed at any moment: what was finished a second before is kept, and the next run goes on from there.

    Args:
        paths: Where the files of the scope lie.
        settings: The section `photos`.
        hosts: Hosts that are reached at a fixed IP address and port, by name, although it may be private: the replica.
        log: Receives a line about every five seconds.
        patience: How long to wait for hosts.
        worker: The command of the processes that verify and store bodies; default `examine.worker_command`.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
        LockedError: another fetch into the same folder is running.
        ChildError: a process that verifies photographs, or asks the tables, was ended.
        OSError: a photograph cannot be written.
    """
    with exclusive(paths.fetch_journal.parent / ".lock"), work_folder(paths.work("fetch")) as folder:
        limits = limits_of(settings.photos, tuple(hosts))
        wanted = folder / "pending.parquet"
        todo = in_child(plan, paths, ask_again_days=settings.photos.ask_again_days, limits=limits, output=wanted)
        total = todo.photos
        log(f"{total:,} of {count(paths.table('photo_index')):,} photographs are to be fetched")
        with open_journal(paths) as journal, reporting(total=total, log=log) as report:
            fetcher = _Fetcher(
                photos=settings.photos,
                hosts=hosts,
                spent=todo.received,
                journal=journal,
                limits=limits,
                patience=patience,
                report=report,
                log=log,
            )
            if total:
                command = worker or worker_command(folder=paths.photos, max_pixels=settings.photos.max_pixels)
                try:
                    with _rare_collections():
                        main = fetcher.run(wanted, authorities=todo.authorities, worker=command)
                        uvloop.run(cancelled_by_signals(main))
                except BaseExceptionGroup as group:
                    raise _first(group) from group
        if total:
            log(report.line())
        statuses = in_child(conclude, paths)
        return FetchSummary(requests=fetcher.requests, statuses=statuses, bytes=report.bytes, seconds=report.seconds)


class _Fetcher:
    """One run: some workers for each host, all in one event loop."""

    def __init__(
        self,
        *,
        photos: PhotoSettings,
        hosts: Mapping[str, tuple[str, int]],
        spent: Mapping[str, Sequence[tuple[float, int]]],
        journal: Journal,
        limits: str,
        patience: Patience,
        report: Report,
        log: Callable[[str], object],
    ) -> None:
        self.requests = 0
        self._photos = photos
        self._fixed = hosts
        self._spent: dict[str, list[tuple[float, int]]] = {}
        for authority, bodies in spent.items():
            self._spent.setdefault(_host_of(f"http://{authority}/"), []).extend(bodies)
        self._journal = journal
        self._limits = limits
        self._patience = patience
        self._report = report
        self._log = log
        self._hosts: dict[str, Host] = {}
        self._watch = Watch()

    async def run(self, wanted: Path, *, authorities: Sequence[Authority], worker: Sequence[str]) -> None:
        """Fetch every photograph of `wanted` (authority, photo_id, url); each ends in a line of the journal."""
        places = asyncio.Semaphore(MOST_HOSTS)
        try:
            async with self._session() as session, contextlib.AsyncExitStack() as ends, asyncio.TaskGroup() as outer:
                getter = Getter(
                    session=session,
                    max_bytes=self._photos.max_bytes,
                    allow_private=self._photos.allow_private_hosts,
                    patience=self._patience,
                    watch=self._watch,
                    turn=self._turn,
                    received=self._received,
                )
                ticker = outer.create_task(self._tick())
                examiner: Examiner[_Photo] = Examiner(command=worker, group=outer, done=self._examined)
                ends.push_async_callback(examiner.end)
                async with asyncio.TaskGroup() as group:
                    for authority in authorities:
                        await places.acquire()
                        photos = _photos(wanted, first=authority.first, number=authority.photos)
                        host = self._host(_host_of(f"http://{authority.name}/"))
                        workers = min(authority.photos, host.most)
                        task = group.create_task(
                            self._serve(photos, host=host, workers=workers, getter=getter, examiner=examiner)
                        )
                        task.add_done_callback(lambda _: places.release())
                await examiner.finish()
                ticker.cancel()
        finally:
            self._journal.flush()

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=GuardedResolver(hosts=self._fixed, allow_private=self._photos.allow_private_hosts),
            ttl_dns_cache=300,
        )
        headers = {
            "User-Agent": f"NatureWatch/{version('naturewatch')} (+{self._photos.contact})",
            "Accept": "image/jpeg",
            # A compressed answer could unfold to any size; JPEG gains nothing from it.
            "Accept-Encoding": "identity",
        }
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect),
            headers=headers,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _serve(
        self, photos: Iterator[_Photo], *, host: Host, workers: int, getter: Getter, examiner: Examiner[_Photo]
    ) -> None:
        """Fetch the photographs of one authority; its workers share the iterator."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(photos, host=host, getter=getter, examiner=examiner))

    async def _work(self, photos: Iterator[_Photo], *, host: Host, getter: Getter, examiner: Examiner[_Photo]) -> None:
        for photo in photos:
            await self._fetch(photo, host=host, getter=getter, examiner=examiner)

    async def _fetch(self, photo: _Photo, *, host: Host, getter: Getter, examiner: Examiner[_Photo]) -> None:
        """All attempts for one photograph."""
        error, http_status, asked = "", None, host
        exchange = Exchange(host=host.name)
        while photo.attempt < self._patience.attempts and host.closed is None:
            if photo.attempt:
                self._note(photo, AGAIN, http_status=http_status, error=error, received=exchange.received)
                await asyncio.sleep(self._wait(photo.attempt))
            started = time.monotonic()
            photo.attempt += 1
            exchange = Exchange(host=host.name)
            try:
                async with host.slot():
                    body = await getter.get(photo.url, exchange)
            except ClosedError as problem:
                photo.attempt -= 1
                if host.closed is None:
                    # A redirect led to another host.
                    error = str(problem)
                    host.answered()
                break
            except PermanentError as problem:
                self._answered(host, exchange)
                found, received = problem.http_status, exchange.received
                self._note(photo, problem.status, http_status=found, error=str(problem), received=received)
                return
            except TransientError as problem:
                error, http_status = str(problem), problem.http_status
                self._report.troubles[problem.kind] += 1
                asked = self._host(exchange.host.lower())
                if asked is not host:
                    # It did answer: with a redirect to the one that is in trouble.
                    host.answered()
                asked.slow_down(started=started, pause=problem.pause, answered=problem.http_status is not None)
                continue
            self._answered(host, exchange)
            await examiner.take(photo, body)
            return
        asked.gave_up(error)
        # A host that is left alone fails many photographs without waiting for anything.
        await asyncio.sleep(0)
        closed = asked.closed or host.closed
        if closed is not None:
            error = f"{error}; {closed}" if error else f"not asked: {closed}"
        self._note(photo, "failed", http_status=http_status, error=error, received=exchange.received)

    def _answered(self, host: Host, exchange: Exchange) -> None:
        """A photograph's host gave a final answer, and the one that it may have redirected to."""
        for each in {host, self._host(exchange.host.lower())}:
            each.answered()

    def _examined(self, examined: Examined[_Photo]) -> None:
        """A body was verified, and stored if it is a photograph."""
        photo, verdict = examined.ticket, examined.verdict
        self._report.bytes += examined.size
        self._report.statuses[verdict.status] += 1
        self._journal.append(
            Attempt(
                photo_id=photo.photo_id,
                url=photo.url,
                attempt=photo.attempt,
                status=verdict.status,
                http_status=200,
                sha256=examined.sha256,
                bytes=examined.size,
                width=verdict.width,
                height=verdict.height,
                error=verdict.error,
                limits=self._limits,
            )
        )

    def _note(self, photo: _Photo, status: str, *, http_status: int | None, error: str, received: int) -> None:
        """An attempt ended without a body, or with the beginning of one."""
        if status != AGAIN:
            self._report.statuses[status] += 1
        self._journal.append(
            Attempt(
                photo_id=photo.photo_id,
                url=photo.url,
                attempt=photo.attempt,
                status=status,
                http_status=http_status,
                bytes=received or None,
                error=error[:500],
                limits=self._limits,
            )
        )

    def _host(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            limits = self._photos.limits_of(name)
            hour, day = limits.bytes_per_hour, limits.bytes_per_day
            host = self._hosts[name] = Host(
                name,
                concurrency=limits.concurrency,
                rate=limits.requests_per_second,
                budget=Budget(per_hour=hour, per_day=day, spent=self._spent.get(name, ())),
                patience=self._patience,
                log=self._log,
            )
        return host

    async def _turn(self, name: str) -> None:
        host = self._host(name.lower())
        await host.turn()
        if host.closed is not None:
            raise ClosedError(f"not asked: {host.closed}")
        self.requests += 1

    def _received(self, name: str, size: int) -> None:
        self._host(name.lower()).received(size)

    def _wait(self, attempt: int) -> float:
        """Exponential back-off with jitter, so that photographs that failed together do not return together."""
        longest = min(self._patience.longest_wait, self._patience.first_wait * 2.0 ** (attempt - 1))
        return random.uniform(longest / 2, longest)  # noqa: S311 (no secret)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._watch.look()
            self._journal.flush()
            self._report.tick()


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for reference cycles rarely while the block runs: requests leave many objects and few cycles."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _photos(wanted: Path, *, first: int, number: int) -> Iterator[_Photo]:
    """The `number` rows from `first` on; a slice of them is in memory at a time."""
    last = first + number
    with pq.ParquetFile(wanted) as table:
        begin = 0
        for group in range(table.num_row_groups):
            end = begin + table.metadata.row_group(group).num_rows
            if begin < last and first < end:
                batches = table.iter_batches(
                    batch_size=SLICE, row_groups=[group], columns=["photo_id", "url"], use_threads=False
                )
                for batch in batches:
                    skipped = min(max(first - begin, 0), batch.num_rows)
                    chosen = batch.slice(skipped, max(0, last - begin - skipped))
                    for photo_id, url in zip(chosen["photo_id"].to_pylist(), chosen["url"].to_pylist(), strict=True):
                        yield _Photo(photo_id=photo_id, url=url)
                    begin += batch.num_rows
            begin = end


def _host_of(url: str) -> str:
    """Whose limits an address is under; addresses without a host share one, they are refused later."""
    try:
        return (URL(url).host or "").lower()
    except ValueError:
        return ""


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first, out of the task groups' wrapping."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
