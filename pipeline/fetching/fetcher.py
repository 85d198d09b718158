"""One run of the fetcher in one event loop: every photograph ends in a line of the journal, and none stops the others.

What one request is, is in `download`; how hard a host is asked, in `hosts`; what its refusals mean, in `refusals`.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipeline.config.settings import PhotoSettings
from pipeline.fetching.budget import Budget
from pipeline.fetching.encodings import JPEG_SIGNATURE
from pipeline.fetching.exchange import DOUBTFUL, Exchange, Getter, PermanentError, TransientError, opened_session
from pipeline.fetching.hosts import ClosedError, Host, Patience
from pipeline.fetching.pending import Photo, authority_of, host_of_authority, host_of_url, photos_of
from pipeline.fetching.refusals import REFUSED, Refusals, failed, is_page
from pipeline.fetching.watch import Watch
from pipeline.photos.examine import Examined, Examiner
from pipeline.photos.journal import AGAIN, Attempt, Journal
from pipeline.photos.ledger import Authority
from pipeline.photos.missing import Missing
from pipeline.photos.progress import Report

FLUSH_SECONDS: Final = 0.5
"""What a kill can lose, together with `examine.BATCH_SECONDS` and the refusals that are not settled."""
MOST_HOSTS: Final = 64
"""Hosts that are asked at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """An address did not give a photograph."""

    attempt: Attempt
    """The last one, as it is recorded where there is no other address."""
    blamed: Host
    refused: bool = False
    """Whether that may be about everything the host has."""


class Fetcher:
    """One run: some workers for each host, all in one event loop.

    Args:
        photos: The section `photos` of the settings.
        hosts: Hosts that are reached at a fixed IP address and port, by name, although it may be private.
        spent: What hosts sent lately: authority -> [(seconds since the epoch, bytes)].
        journal: Receives every attempt.
        limits: `ledger.limits_of` this run.
        patience: How long to wait for hosts.
        report: Counts what is done.
        log: Is told of pauses.
    """

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
        self._photos = photos
        self._fixed = hosts
        self._spent: dict[str, list[tuple[float, int]]] = {}
        for authority, bodies in spent.items():
            self._spent.setdefault(host_of_authority(authority), []).extend(bodies)
        self._journal = journal
        self._limits = limits
        self._patience = patience
        self._report = report
        self._log = log
        self._hosts: dict[str, Host] = {}
        self._refusals: dict[str, Refusals] = {}
        self._failed: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}
        self._watch = Watch()

    @property
    def requests(self) -> int:
        """HTTP requests that were sent, repeated and redirected ones included."""
        return sum(host.requests for host in self._hosts.values())

    @property
    def missing(self) -> list[Missing]:
        """What failed, by the host that is to blame."""
        return [
            Missing(
                host=name,
                photos=photos,
                reason=self._host(name).closed or self._reasons[name],
                opens_at=self._host(name).opens_at,
            )
            for name, photos in self._failed.items()
        ]

    async def run(self, wanted: Path, *, authorities: Sequence[Authority], worker: Sequence[str]) -> None:
        """Fetch every photograph of `wanted` (see `ledger.pending`); each ends in a line of the journal."""
        try:
            async with (
                opened_session(self._photos, hosts=self._fixed, patience=self._patience) as session,
                contextlib.AsyncExitStack() as ends,
                asyncio.TaskGroup() as outer,
            ):
                getter = Getter(
                    session=session,
                    max_bytes=self._photos.max_bytes,
                    allow_private=self._photos.allow_private_hosts,
                    patience=self._patience,
                    watch=self._watch,
                    admitted=lambda name: self._host(name).request(),
                    received=lambda name, size: self._host(name).received(size),
                )
                ticker = outer.create_task(self._tick())
                examiner: Examiner[Photo] = Examiner(command=worker, group=outer, done=self._examined)
                ends.push_async_callback(examiner.end)
                await self._serve_all(wanted, authorities=authorities, getter=getter, examiner=examiner)
                await examiner.finish()
                for name, refusals in list(self._refusals.items()):
                    await self._settle(self._host(name), refusals, getter=getter)
                ticker.cancel()
        finally:
            self._journal.flush()

    async def _serve_all(
        self, wanted: Path, *, authorities: Sequence[Authority], getter: Getter, examiner: Examiner[Photo]
    ) -> None:
        places = asyncio.Semaphore(MOST_HOSTS)
        for authority in authorities:
            # Ports of one host share its refusals, as they share its limits.
            self._refusals_of(self._host(host_of_authority(authority.name))).know(authority.samples)
        async with asyncio.TaskGroup() as group:
            for authority in authorities:
                await places.acquire()
                host = self._host(host_of_authority(authority.name))
                photos = photos_of(wanted, first=authority.first, number=authority.photos, host=host)
                workers = min(authority.photos, host.most)
                task = group.create_task(self._serve(photos, workers=workers, getter=getter, examiner=examiner))
                task.add_done_callback(lambda _: places.release())

    async def _serve(self, photos: Iterator[Photo], *, workers: int, getter: Getter, examiner: Examiner[Photo]) -> None:
        """Fetch the photographs of one authority; its workers share the iterator."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(photos, getter=getter, examiner=examiner))

    async def _work(self, photos: Iterator[Photo], *, getter: Getter, examiner: Examiner[Photo]) -> None:
        for photo in photos:
            await self._fetch(photo, getter=getter, examiner=examiner)

    async def _fetch(self, photo: Photo, *, getter: Getter, examiner: Examiner[Photo]) -> None:
        """All attempts for one photograph, at its other address too where the first one does not give it."""
        end = await self._ask(photo, photo.url, getter=getter, examiner=examiner)
        if end is not None and photo.other_url is not None:
            self._append(replace(end.attempt, status=AGAIN))
            photo.host = self._host(host_of_url(photo.other_url))
            end = await self._ask(photo, photo.other_url, getter=getter, examiner=examiner)
        if end is None:
            return
        if end.refused:
            await self._refused(photo, end.attempt, getter=getter)
        else:
            self._append(end.attempt, blamed=end.blamed)

    async def _ask(self, photo: Photo, address: str, *, getter: Getter, examiner: Examiner[Photo]) -> "_End | None":
        """All attempts at one address; None where what came is with the examiner, or recorded."""
        error, http_status, asked = "", None, photo.host
        photo.exchange = Exchange(host=photo.host.name)
        tried = 0
        while tried < self._patience.attempts and photo.host.closed is None and asked.closed is None:
            if tried:
                self._append(self._attempt(photo, AGAIN, http_status=http_status, error=error))
                # What came of the last one is written: it is not counted again should no other follow.
                photo.exchange = Exchange(host=photo.host.name)
                await asyncio.sleep(self._wait(tried))
            tried += 1
            photo.attempt += 1
            try:
                body = await getter.get(address, photo.exchange)
                self._answered(photo)
                return await self._examine(photo, address, body, examiner=examiner)
            except ClosedError as problem:
                if photo.exchange.sent_at is None:
                    photo.attempt -= 1
                asked = problem.host
                break
            except PermanentError as problem:
                # A network that wants a log-in first leads everything to an address of its own.
                led_astray = problem.status == "blocked" and photo.exchange.replied
                refused = problem.http_status in REFUSED or led_astray
                if not refused:
                    self._answered(photo)
                attempt = self._attempt(photo, problem.status, http_status=problem.http_status, error=str(problem))
                return _End(attempt=attempt, blamed=self._host(photo.exchange.host), refused=refused)
            except TransientError as problem:
                error, http_status = str(problem), problem.http_status
                asked = self._trouble(photo, problem)
        asked.gave_up(error)
        # A host that is left alone fails many photographs without waiting for anything.
        await asyncio.sleep(0)
        closed = asked.closed or photo.host.closed
        if closed is not None:
            error = f"{error}; {closed}" if error else f"not asked: {closed}"
        return _End(attempt=self._attempt(photo, "failed", http_status=http_status, error=error), blamed=asked)

    async def _examine(self, photo: Photo, address: str, body: bytes, *, examiner: Examiner[Photo]) -> "_End | None":
        """Have a body examined; None where it is with the examiner, or recorded.

        Raises:
            TransientError: it may have been cut, and is to be asked for once more.
        """
        if body.startswith(JPEG_SIGNATURE) and photo.exchange.sent_at is not None:
            for attempt in self._refusals_of(photo.host).gave(address, sent_at=photo.exchange.sent_at):
                self._append(attempt)
        unsure = not photo.exchange.sized and not photo.doubted
        page = is_page(body)
        if not unsure and not page:
            await examiner.take(photo, body)
            return None
        photo.examined = asyncio.get_running_loop().create_future()
        await examiner.take(photo, body)
        examined = await photo.examined
        photo.examined = None
        if unsure and examined.verdict.status in {"corrupt", "not_jpeg"}:
            photo.doubted = True
            raise TransientError(f"it may have been cut: {examined.verdict.error}", kind=DOUBTFUL, http_status=200)
        attempt = self._body_attempt(photo, examined)
        if page:
            return _End(attempt=attempt, blamed=photo.host, refused=True)
        self._append(attempt)
        return None

    def _examined(self, examined: Examined[Photo]) -> None:
        """A body was verified, and stored if it is a photograph."""
        photo = examined.ticket
        self._report.bytes += examined.size
        if photo.examined is None:
            self._append(self._body_attempt(photo, examined))
        elif not photo.examined.done():
            photo.examined.set_result(examined)

    async def _refused(self, photo: Photo, attempt: Attempt, *, getter: Getter) -> None:
        """The photograph is refused, or everything is: what came is held back until that is known."""
        host, sent_at = photo.host, photo.exchange.sent_at
        refusals = self._refusals_of(host)
        if refusals.hold(attempt, sent_at=sent_at or 0.0) or host.closed is not None:
            await self._settle(host, refusals, getter=getter)

    async def _settle(self, host: Host, refusals: Refusals, *, getter: Getter) -> None:
        """Record what was held back: as verdicts where the host gives a photograph again that it gave before."""
        held = refusals.taken()
        if held and host.closed is None and not await self._gives(host, refusals.samples, getter=getter):
            host.close(f"{host.name} refuses every photograph: {held[-1].error}")
        for attempt in held:
            self._append(attempt if host.closed is None else failed(attempt, host.closed), blamed=host)

    async def _gives(self, host: Host, addresses: Sequence[str], *, getter: Getter) -> bool:
        """Whether the photograph at one of the addresses comes."""
        for address in addresses:
            # Whatever the reason why it does not come, it is no sign that others would.
            with contextlib.suppress(ClosedError, PermanentError, TransientError):
                body = await getter.get(address, Exchange(host=host.name))
                if body.startswith(JPEG_SIGNATURE):
                    return True
        return False

    def _trouble(self, photo: Photo, problem: TransientError) -> Host:
        """Slow down the host that is in trouble, and return it."""
        self._report.troubles[problem.kind] += 1
        asked = self._host(photo.exchange.host)
        if problem.kind == DOUBTFUL:
            # What it sent is bad, not how it answers.
            return asked
        if asked is not photo.host:
            # It did answer: with a redirect to the one that is in trouble.
            photo.host.answered()
        if photo.exchange.sent_at is not None:
            asked.slow_down(
                started=photo.exchange.sent_at, pause=problem.pause, answered=problem.http_status is not None
            )
        return asked

    def _answered(self, photo: Photo) -> None:
        """A photograph's host gave a final answer, and the one that it may have redirected to."""
        for host in {photo.host, self._host(photo.exchange.host)}:
            host.answered()

    def _body_attempt(self, photo: Photo, examined: Examined[Photo]) -> Attempt:
        verdict = examined.verdict
        return Attempt(
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
            host=authority_of(photo.exchange),
        )

    def _attempt(self, photo: Photo, status: str, *, http_status: int | None, error: str) -> Attempt:
        """An attempt that ended without a body, or with the beginning of one."""
        return Attempt(
            photo_id=photo.photo_id,
            url=photo.url,
            attempt=photo.attempt,
            status=status,
            http_status=http_status,
            bytes=photo.exchange.received or None,
            error=error[:500],
            limits=self._limits,
            host=authority_of(photo.exchange),
        )

    def _append(self, attempt: Attempt, *, blamed: Host | None = None) -> None:
        """Write a line; a failure counts for the host that is to blame."""
        if attempt.status != AGAIN:
            self._report.statuses[attempt.status] += 1
        if attempt.status == "failed" and blamed is not None:
            self._failed[blamed.name] += 1
            self._reasons[blamed.name] = attempt.error or ""
        self._journal.append(attempt)

    def _refusals_of(self, host: Host) -> Refusals:
        return self._refusals.setdefault(host.name, Refusals())

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
