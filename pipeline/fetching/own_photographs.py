"""Verifies and stores one's own photographs like fetched ones: with the same reader and ledger, without requests."""

import asyncio
import functools
import hashlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.config.settings import Settings
from pipeline.fetching.fetch import FetchSummary
from pipeline.fetching.loop import run
from pipeline.files import exclusive, work_folder
from pipeline.folder.labelled_records import digest_in, file_of, fragment_of
from pipeline.paths import Paths
from pipeline.photos.incomplete import remember
from pipeline.photos.journal import Attempt, Journal, open_journal
from pipeline.photos.ledger import fold, limits_of, plan
from pipeline.photos.progress import Report
from pipeline.photos.verification import WORKERS, Verdict, Verifier, verify
from pipeline.query import count


@dataclass(frozen=True, kw_only=True)
class _Photo:
    photo_id: str
    url: str


class _UnusableError(Exception):
    """A file that cannot be used as a photograph."""

    def __init__(self, status: str, message: str) -> None:
        """`status` is the ledger's."""
        super().__init__(message)
        self.status = status


def read_photos(paths: Paths, settings: Settings, *, log: Callable[[str], object]) -> FetchSummary:
    """Copy the photographs of the index that are not here yet, then write the ledger and its rejections.

    A file that is gone, damaged or unreadable ends in a line of the ledger and is looked at again by every run.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
        LockedError: another run is at it.
        ChildError: processes that verify photographs do not start, or are ended from outside.
        OSError: a photograph cannot be written.
    """
    assert settings.source.folder is not None  # noqa: S101 (the configuration holds it against the mode)
    folder = settings.source.folder.absolute().parent
    with exclusive(paths.fetch_journal.parent / ".lock"), work_folder(paths.work("fetch")) as work:
        limits = limits_of(settings.photos, ())
        wanted = work / "pending.parquet"
        todo = plan(paths, ask_again_days=0.0, limits=limits, output=wanted)
        log(f"{todo.photos:,} of {count(paths.table('photo_index')):,} photographs are to be read")
        judge = functools.partial(verify, max_pixels=settings.photos.max_pixels)
        report = Report(total=todo.photos, log=log)
        with open_journal(paths) as journal, Verifier(folder=paths.photos, judge=judge) as verifier:
            reading = _Reading(
                folder=folder, settings=settings, limits=limits, journal=journal, report=report, verifier=verifier
            )
            run(reading.run(_photos(wanted)))
        remember(paths, None)
        return FetchSummary(requests=0, statuses=fold(paths), bytes=report.bytes, seconds=report.seconds)


class _Reading:
    """One run over the files."""

    def __init__(
        self,
        *,
        folder: Path,
        settings: Settings,
        limits: str,
        journal: Journal,
        report: Report,
        verifier: Verifier,
    ) -> None:
        self._folder = folder
        self._photos = settings.photos
        self._limits = limits
        self._journal = journal
        self._report = report
        self._verifier = verifier

    async def run(self, photos: Iterator[_Photo]) -> None:
        """Read every file, a few at a time; each ends in a line of the journal."""
        async with asyncio.TaskGroup() as group:
            for _ in range(2 * WORKERS):
                group.create_task(self._read_each(photos))

    async def _read_each(self, photos: Iterator[_Photo]) -> None:
        for photo in photos:
            try:
                body = self._body(photo)
            except _UnusableError as problem:
                self._note(photo, verdict=Verdict(status=problem.status, error=str(problem)), size=None)
                continue
            verdict = await self._verifier.examine(body)
            self._report.bytes += len(body)
            self._note(photo, verdict=verdict, size=len(body))

    def _body(self, photo: _Photo) -> bytes:
        file = file_of(photo.url, folder=self._folder)
        try:
            facts = file.stat()
            if not stat.S_ISREG(facts.st_mode):
                raise _UnusableError("gone", f"{file} is no file")
            if facts.st_size > self._photos.max_bytes:
                problem = f"{facts.st_size} bytes are more than max_bytes = {self._photos.max_bytes}"
                raise _UnusableError("too_large", problem)
            body = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _UnusableError("gone", f"there is no file {file}") from error
        except (OSError, ValueError) as error:
            raise _UnusableError("failed", f"{file} cannot be read: {error}") from error
        if fragment_of(hashlib.sha256(body)) != digest_in(photo.url):
            raise _UnusableError("failed", f"{file} is another one than before; run again from gbif_download on")
        return body

    def _note(self, photo: _Photo, *, verdict: Verdict, size: int | None) -> None:
        self._report.statuses[verdict.status] += 1
        self._report.tick()
        self._journal.append(
            Attempt(
                photo_id=photo.photo_id,
                url=photo.url,
                attempt=1,
                status=verdict.status,
                sha256=verdict.sha256,
                bytes=size,
                width=verdict.width,
                height=verdict.height,
                error=verdict.error,
                limits=self._limits,
            )
        )


def _photos(wanted: Path) -> Iterator[_Photo]:
    with pq.ParquetFile(wanted) as table:
        for batch in table.iter_batches(columns=["photo_id", "url"], use_threads=False):
            for photo_id, url in zip(batch["photo_id"].to_pylist(), batch["url"].to_pylist(), strict=True):
                yield _Photo(photo_id=photo_id, url=url)
