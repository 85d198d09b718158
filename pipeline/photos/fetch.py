"""Fetches the photographs of the index, politely and resumably. The only place where photographs are asked for again.

What may be connected to is in `addresses`, how hard a host is asked in `hosts`, what a good body is in `verify`,
what is remembered in `ledger`.
"""

import asyncio
import datetime as dt
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, Final

import aiohttp
from yarl import URL

from pipeline.config import Settings
from pipeline.errors import TableError
from pipeline.files import exclusive
from pipeline.gbif.http import retry_after_seconds
from pipeline.paths import Paths
from pipeline.photos.addresses import BlockedError, GuardedResolver, check_address
from pipeline.photos.hosts import Host
from pipeline.photos.ledger import FLUSH_SECONDS, Journal, Outcome, Wanted, fold, missing, read_journal
from pipeline.photos.progress import Progress
from pipeline.photos.verify import PhotoProblemError, Stored, clear_partials, store

CONNECT_SECONDS: Final = 15.0
SILENCE_SECONDS: Final = 20.0
"""Longest wait for the first byte, and for the next byte of a body that has stalled."""
WHOLE_SECONDS: Final = 300.0
"""Longest time for one request: a body that drips is never silent."""
ATTEMPTS: Final = 5
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds between two attempts, when the host does not name the wait itself."""
REDIRECTS: Final = 5
VERIFIERS: Final = 2
"""Threads that decode and store; the decoder releases the interpreter's lock."""
TRANSIENT: Final = frozenset({408, 420, 425, 429, 500, 502, 503, 504})
SLOWER: Final = frozenset({420, 429, 503})
"""Statuses by which a host asks for less."""
MISSING: Final = frozenset({401, 403, 404, 410, 451})
"""Statuses of photographs that were withdrawn; iNaturalist's storage answers 403 for what it deleted."""

Log = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class FetchSummary:
    """What one fetch did, and the state of the ledger after it."""

    requests: int
    bytes: int
    seconds: float
    statuses: dict[str, int]


class _TryAgainError(Exception):
    """A transient fault; `wait` is what the host asked for, in seconds."""

    def __init__(self, message: str, *, wait: float | None = None, http_status: int | None = None) -> None:
        super().__init__(message)
        self.wait = wait
        self.http_status = http_status


def fetch_photos(paths: Paths, settings: Settings, *, hosts: Mapping[str, tuple[str, int]], log: Log) -> FetchSummary:
    """Ask for every photograph of the index that is missing or worth another try, and write the ledger.

    Args:
        paths: Where the files of the scope lie.
        settings: The configuration; `photos` says how to fetch.
        hosts: Hosts that are reached at a fixed address, as the embedded replica's.
        log: Told about progress every few seconds.

    Raises:
        TableError: there is no photo index.
        LockedError: another process is fetching.
        StorageError: photographs cannot be written.
    """
    if not paths.table("photo_index").exists():
        raise TableError(f"{paths.table('photo_index')} is missing; materialise photo_index")
    began = time.monotonic()
    with exclusive(paths.fetch_journal.with_suffix(".lock")):
        clear_partials(paths.photos)
        known = read_journal(paths.fetch_journal)
        total = sum(1 for _ in missing(paths, known))
        with Journal(paths.fetch_journal) as journal, Progress(total=total, log=log) as progress:
            fetcher = _Fetcher(paths=paths, settings=settings, hosts=hosts, journal=journal, progress=progress)
            if total:
                _run(fetcher.run(missing(paths, known)))
        outcomes = {**known, **fetcher.outcomes}
        fold(paths, outcomes)
    statuses = Counter(ledger_statuses(paths))
    return FetchSummary(
        requests=fetcher.requests,
        bytes=fetcher.received,
        seconds=time.monotonic() - began,
        statuses=dict(sorted(statuses.items())),
    )


def _run(work: Coroutine[None, None, None]) -> None:
    """Run to the end; what stopped one worker is the error, not that the others were stopped with it."""
    try:
        asyncio.run(work)
    except ExceptionGroup as group:
        raise group.exceptions[0] from group


def ledger_statuses(paths: Paths) -> Iterator[str]:
    """The status of every row of the ledger."""
    import pyarrow.parquet as pq  # noqa: PLC0415 (only here)

    yield from pq.read_table(paths.table("photos"), columns=["status"])["status"].to_pylist()


@dataclass(kw_only=True)
class _Fetcher:
    paths: Paths
    settings: Settings
    hosts: Mapping[str, tuple[str, int]]
    journal: Journal
    progress: Progress
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    requests: int = 0
    received: int = 0
    _gates: dict[str, Host] = field(default_factory=dict)

    async def run(self, wanted: Iterator[Wanted]) -> None:
        photos = self.settings.photos
        resolver = GuardedResolver(hosts=self.hosts, allow_private=photos.allow_private_hosts)
        connector = aiohttp.TCPConnector(
            resolver=resolver, limit=photos.concurrency * 4, limit_per_host=photos.concurrency, ttl_dns_cache=300
        )
        agent = f"NatureWatch/{version('naturewatch')} (+{photos.contact})"
        timeout = aiohttp.ClientTimeout(total=WHOLE_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        with ThreadPoolExecutor(VERIFIERS, thread_name_prefix="verify") as self._verifiers:
            async with aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": agent, "Accept": "image/jpeg"},
            ) as self._session:
                flusher = asyncio.create_task(self._keep_flushing())
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(photos.concurrency * 2):
                            group.create_task(self._work(wanted))
                finally:
                    flusher.cancel()

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.journal.flush()

    async def _work(self, wanted: Iterator[Wanted]) -> None:
        for photo in wanted:
            outcome = await self._settle(photo)
            self.outcomes[photo.photo_id] = outcome
            self.journal.append(outcome)
            self.progress.advance(outcome.status, received=outcome.bytes or 0)

    async def _settle(self, photo: Wanted) -> Outcome:
        """Ask for one photograph until its outcome is known; every fault of a host becomes a status."""
        for attempt in range(1, ATTEMPTS + 1):
            facts: dict[str, Any]
            pause: float | None = None
            try:
                facts = {"status": "ok", "http_status": 200, **await self._ask(photo.url)}
            except PhotoProblemError as problem:
                facts = {"status": problem.status, "http_status": problem.http_status, "error": str(problem)}
            except BlockedError as error:
                facts = {"status": "blocked", "error": str(error)}
            except _TryAgainError as error:
                facts = {"status": "failed", "http_status": error.http_status, "error": str(error)}
                pause = _back_off(attempt) if error.wait is None else error.wait
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                facts = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
                pause = _back_off(attempt)
            except aiohttp.ClientError as error:
                facts = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            if pause is None or attempt == ATTEMPTS:
                break
            await asyncio.sleep(pause)
        now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="milliseconds")
        return Outcome(photo_id=photo.photo_id, url=photo.url, attempts=attempt, fetched_at=now, **facts)

    async def _ask(self, url: str) -> dict[str, object]:
        """One attempt: follow redirects by hand, each hop judged, and store the body."""
        photos = self.settings.photos
        for _ in range(REDIRECTS + 1):
            address = check_address(url, hosts=self.hosts, allow_private=photos.allow_private_hosts)
            gate = self._gates.setdefault(
                str(address.host), Host(concurrency=photos.concurrency, requests_per_second=photos.requests_per_second)
            )
            async with gate.turn():
                self.requests += 1
                answer = await self._get(address, gate=gate)
            if isinstance(answer, bytes):
                return await self._keep(answer)
            url = _joined(address, answer)
        raise PhotoProblemError("failed", f"more than {REDIRECTS} redirects")

    async def _keep(self, body: bytes) -> dict[str, object]:
        """Verify and store a body off the event loop."""
        try:
            return asdict(await asyncio.get_running_loop().run_in_executor(self._verifiers, self._store, body))
        except PhotoProblemError as problem:
            problem.http_status = 200
            raise

    def _store(self, body: bytes) -> Stored:
        return store(
            body,
            data_root=self.paths.data_root,
            folder=self.paths.photos,
            max_pixels=self.settings.photos.max_pixels,
        )

    async def _get(self, address: URL, *, gate: Host) -> bytes | str:
        """The body of an address, or where it redirects to; a host that does not answer is asked less."""
        try:
            return await self._answer(address, gate=gate)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError):
            gate.struggled(retry_after=None)
            raise

    async def _answer(self, address: URL, *, gate: Host) -> bytes | str:
        async with self._session.get(address, allow_redirects=False) as response:
            status = response.status
            if status in TRANSIENT:
                wait = retry_after_seconds(response.headers.get("Retry-After"))
                if status in SLOWER:
                    gate.struggled(retry_after=wait)
                raise _TryAgainError(f"the host answered {status} {response.reason}", wait=wait, http_status=status)
            if status in {301, 302, 303, 307, 308} and "Location" in response.headers:
                return response.headers["Location"]
            if status in MISSING:
                raise PhotoProblemError("gone", f"the host answered {status} {response.reason}", http_status=status)
            if status != 200:
                raise PhotoProblemError("failed", f"the host answered {status} {response.reason}", http_status=status)
            if response.content_type.startswith("text/"):
                raise PhotoProblemError("not_jpeg", f"the host sent {response.content_type}", http_status=status)
            body = await self._body(response)
        gate.succeeded()
        self.received += len(body)
        return body

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        most = self.settings.photos.max_bytes
        if (response.content_length or 0) > most:
            message = f"{response.content_length:,} bytes, {most:,} are allowed"
            raise PhotoProblemError("too_large", message, http_status=response.status)
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > most:
                raise PhotoProblemError("too_large", f"more than {most:,} bytes", http_status=response.status)
            pieces.append(piece)
        return b"".join(pieces)


def _joined(address: URL, location: str) -> str:
    """Where a redirect leads."""
    try:
        return str(address.join(URL(location)))
    except ValueError as error:
        raise PhotoProblemError("failed", f"a redirect leads to {location[:200]!r}: {error}") from error


def _back_off(attempt: int) -> float:
    """Seconds before the next attempt: twice as long each time, and never in step with other photographs."""
    longest: float = min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
