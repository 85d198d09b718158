"""One run of the fetcher in one event loop: every photograph ends in a line of the journal, and none stops the others.

One request is made by `exchange`; how hard a host is asked, is decided in `hosts`; what its refusals mean, in
`refusals`; what a body is, in `pipeline.photos.verification`.
"""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipeline.config.settings import PhotoSettings
from pipeline.fetching.addresses import host_of_authority, host_of_text
from pipeline.fetching.budget import Budget
from pipeline.fetching.exchange import DOUBTFUL, Exchange, Getter, PermanentError, TransientError, opened_session
from pipeline.fetching.hosts import ClosedError, Host, Patience
from pipeline.fetching.refusals import ABSENT, REFUSED, SOUND, Refusals, failed, is_page
from pipeline.photos.journal import AGAIN, Attempt, Journal
from pipeline.photos.ledger import Authority, photos_of
from pipeline.photos.missing import Missing
from pipeline.photos.progress import Report
from pipeline.photos.verification import Verifier

MOST_HOSTS: Final = 64
"""Hosts that are asked at a time."""
_REPORT_SECONDS: Final = 0.5


@dataclass(kw_only=True, slots=True)
class _Photo:
    """A photograph that is to be fetched."""

    photo_id: str
    url: str
    """Its address in the index, which it is recorded under."""
    other_url: str | None
    """Another address that was given for it; it is asked for where the first one does not give it."""
    host: Host
    """That of the address that is asked for, which may redirect to others."""
    exchange: Exchange
    """The last one."""
    attempt: int = 0
    """Requests that were made for it in this run, redirects not counted."""
    doubted: bool = False
    """Whether a body came that may have been cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """An address did not give a photograph."""

    attempt: Attempt
    """The last one, as it is recorded where there is no other address."""
    blamed: Host
    refused: bool = False
    """Whether that may be about everything the host has."""
    absent: bool = False
    """Whether it is, as far as one answer can tell, about this photograph alone."""


class Fetcher:
    """One run: some tasks for each host, all in one event loop.

    Args:
        photos: The section `photos` of the settings.
        hosts: Hosts that are reached at a fixed IP address and port, by name, although it may be private.
        spent: What hosts sent lately: authority -> [(seconds since the epoch, bytes)].
        journal: Receives every attempt.
        verifier: Judges and stores bodies.
        limits: `ledger.limits_of` this run.
        patience: How long to wait for hosts.
        report: Counts what is done.
        log: Receives a line about each long pause.
    """

    _getter: Getter

    def __init__(
        self,
        *,
        photos: PhotoSettings,
        hosts: Mapping[str, tuple[str, int]],
        spent: Mapping[str, Sequence[tuple[float, int]]],
        journal: Journal,
        verifier: Verifier,
        limits: str,
        patience: Patience,
        report: Report,
        log: Callable[[str], object],
    ) -> None:
        self._photos = photos
        self._fixed = hosts
        self._spent: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        for authority, bodies in spent.items():
            self._spent[host_of_authority(authority)].extend(bodies)
        self._journal = journal
        self._verifier = verifier
        self._limits = limits
        self._patience = patience
        self._report = report
        self._log = log
        self._hosts: dict[str, Host] = {}
        self._refusals: defaultdict[str, Refusals] = defaultdict(Refusals)
        self._failed: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}

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
                closed=self._host(name).closed is not None,
                opens_at=self._host(name).opens_at,
            )
            for name, photos in self._failed.items()
        ]

    async def run(self, wanted: Path, *, authorities: Sequence[Authority]) -> None:
        """Fetch every photograph of `wanted` (see `ledger.pending`); each ends in a line of the journal."""
        async with opened_session(self._photos, hosts=self._fixed, patience=self._patience) as session:
            self._getter = Getter(
                session=session,
                max_bytes=self._photos.max_bytes,
                allow_private=self._photos.allow_private_hosts,
                patience=self._patience,
                admitted=lambda name: self._host(name).request(),
                received=lambda name, size: self._host(name).received(size),
            )
            async with asyncio.TaskGroup() as group:
                reporting = group.create_task(self._report_often())
                await self._fetch_all(wanted, authorities=authorities)
                for name in list(self._refusals):
                    await self._settle(self._host(name), ending=True)
                reporting.cancel()

    async def _fetch_all(self, wanted: Path, *, authorities: Sequence[Authority]) -> None:
        for authority in authorities:
            # Ports of one host share its refusals, as they share its limits.
            self._refusals[host_of_authority(authority.name)].know(authority.samples)
        slots = asyncio.Semaphore(MOST_HOSTS)
        async with asyncio.TaskGroup() as group:
            for authority in authorities:
                group.create_task(self._fetch_authority(wanted, authority=authority, slots=slots))

    async def _fetch_authority(self, wanted: Path, *, authority: Authority, slots: asyncio.Semaphore) -> None:
        """Fetch the photographs of one authority in as many tasks as the host may have requests; they share them."""
        host = self._host(host_of_authority(authority.name))
        photos = (
            _Photo(**row, host=host, exchange=Exchange(host=host.name))
            for row in photos_of(wanted, authority=authority.name)
        )
        async with slots, asyncio.TaskGroup() as group:
            for _ in range(min(authority.photos, host.most)):
                group.create_task(self._fetch_each(photos))

    async def _fetch_each(self, photos: Iterator[_Photo]) -> None:
        for photo in photos:
            await self._fetch(photo)

    async def _fetch(self, photo: _Photo) -> None:
        """All attempts for one photograph, at its other address too where the first one does not give it."""
        end = await self._ask(photo, photo.url)
        if end is not None and photo.other_url is not None:
            self._append(replace(end.attempt, status=AGAIN))
            photo.host = self._host(host_of_text(photo.other_url))
            end = await self._ask(photo, photo.other_url)
        if end is None:
            return
        refusals = self._refusals[photo.host.name]
        if end.refused:
            sent_at = photo.exchange.sent_at or 0.0
            refusals.hold(end.attempt, sent_at=sent_at, absent=end.absent)
        else:
            self._append(end.attempt, blamed=end.blamed)
            if end.attempt.status == "failed" and end.blamed is photo.host and photo.host.closed is None:
                refusals.failed()
        if refusals.is_doubtful() or (refusals.holds and photo.host.closed is not None):
            await self._settle(photo.host)

    async def _ask(self, photo: _Photo, address: str) -> _End | None:
        """All attempts at one address; None where what came is recorded."""
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
                body = await self._getter.get(address, photo.exchange)
                self._answered(photo)
                return await self._judge(photo, address, body)
            except ClosedError as problem:
                if photo.exchange.sent_at is None:
                    photo.attempt -= 1
                asked = problem.host
                break
            except PermanentError as problem:
                # A network that wants a log-in first redirects every request to its own address.
                led_astray = problem.status == "blocked" and photo.exchange.replied
                absent = problem.http_status in ABSENT
                refused = problem.http_status in REFUSED or led_astray or absent
                if absent or not refused:
                    self._answered(photo)
                attempt = self._attempt(photo, problem.status, http_status=problem.http_status, error=str(problem))
                blamed = self._host(photo.exchange.host)
                return _End(attempt=attempt, blamed=blamed, refused=refused, absent=absent)
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

    async def _judge(self, photo: _Photo, address: str, body: bytes) -> _End | None:
        """Verify and store a body; None where it is recorded.

        Raises:
            TransientError: it may have been cut, and is to be asked for once more.
        """
        verdict = await self._verifier.examine(body)
        self._report.bytes += len(body)
        if verdict.status in {"corrupt", "not_jpeg"} and not photo.exchange.sized and not photo.doubted:
            photo.doubted = True
            raise TransientError(f"it may have been cut: {verdict.error}", kind=DOUBTFUL, http_status=200)
        attempt = replace(
            self._attempt(photo, verdict.status, http_status=200, error=verdict.error),
            sha256=verdict.sha256,
            bytes=len(body),
            width=verdict.width,
            height=verdict.height,
        )
        if verdict.status in {"corrupt", "not_jpeg"}:
            # A host may send a page, another picture or half of each in every photograph's place.
            return _End(attempt=attempt, blamed=photo.host, refused=True, absent=not is_page(body))
        if verdict.status == "ok" and photo.exchange.sent_at is not None:
            for settled in self._refusals[photo.host.name].gave(address, sent_at=photo.exchange.sent_at):
                self._append(settled)
        self._append(attempt)
        return None

    async def _settle(self, host: Host, *, ending: bool = False) -> None:
        """Record what was held back: as verdicts where the host is sound, else as failures, with earlier verdicts."""
        refusals = self._refusals[host.name]
        async with refusals.checking:
            if host.closed is None and (
                refusals.is_doubtful() or (ending and (refusals.holds or refusals.ends_in_doubt()))
            ):
                asked, given = await self._ask_samples(host, refusals.samples)
                trouble = refusals.trouble(asked=asked, given=given)
                if trouble is not None:
                    host.close(f"{host.name} {trouble}: {refusals.last_error or self._reasons.get(host.name)}")
                    for attempt in refusals.recalled():
                        self._report.statuses[attempt.status] -= 1
                        self._append(failed(attempt, host.closed or ""), blamed=host)
            verdicts, unknown = refusals.taken()
            for attempt in verdicts:
                self._append(attempt if host.closed is None else failed(attempt, host.closed), blamed=host)
            for attempt in unknown:
                self._append(failed(attempt, host.closed or f"{host.name} has not given any photograph"), blamed=host)

    async def _ask_samples(self, host: Host, addresses: Sequence[str]) -> tuple[int, int]:
        """How many photographs that the host gave before are asked for, until it is clear whether it is sound."""
        asked = given = 0
        while asked < len(addresses) and asked - given <= (1 - SOUND) * len(addresses):
            # Whatever the reason why it does not come, it is no sign that others would.
            with contextlib.suppress(ClosedError, PermanentError, TransientError):
                body = await self._getter.get(addresses[asked], Exchange(host=host.name))
                given += (await self._verifier.examine(body)).status == "ok"
            asked += 1
        return asked, given

    def _trouble(self, photo: _Photo, problem: TransientError) -> Host:
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

    def _answered(self, photo: _Photo) -> None:
        """A photograph's host gave a final answer, and the one that it may have redirected to."""
        for host in {photo.host, self._host(photo.exchange.host)}:
            host.answered()

    def _attempt(self, photo: _Photo, status: str, *, http_status: int | None, error: str | None) -> Attempt:
        """An attempt that ended without a body, or with the beginning of one."""
        return Attempt(
            photo_id=photo.photo_id,
            url=photo.url,
            attempt=photo.attempt,
            status=status,
            http_status=http_status,
            bytes=photo.exchange.received or None,
            error=error[:500] if error is not None else None,
            limits=self._limits,
            host=photo.exchange.authority,
        )

    def _append(self, attempt: Attempt, *, blamed: Host | None = None) -> None:
        """Write a line; a failure counts for the host that is to blame."""
        if attempt.status != AGAIN:
            self._report.statuses[attempt.status] += 1
        if attempt.status == "failed" and blamed is not None:
            self._failed[blamed.name] += 1
            self._reasons[blamed.name] = attempt.error or ""
        self._journal.append(attempt)

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

    async def _report_often(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            self._report.tick()
