"""Fetches photographs: politely, resumably, and so that no answer stops the others.

The run itself is in `fetcher`; what is remembered, in `journal` and `ledger` of `pipeline.photos`; how much may be
missing, in `missing`.
"""

import datetime as dt
import functools
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from pipeline.config.settings import Settings
from pipeline.errors import IncompleteFetchError, StorageError
from pipeline.fetching.fetcher import Fetcher
from pipeline.fetching.hosts import Patience
from pipeline.fetching.loop import run
from pipeline.files import exclusive, work_folder
from pipeline.paths import Paths
from pipeline.photos.incomplete import IncompleteFetch, remember
from pipeline.photos.journal import open_journal
from pipeline.photos.ledger import fold, limits_of, plan
from pipeline.photos.missing import Missing, incomplete
from pipeline.photos.progress import Report
from pipeline.photos.verification import Verifier, verify
from pipeline.query import count


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
    missing: list[Missing] = field(default_factory=list)
    """Photographs with the status `failed`, which the next run asks for again, by host."""
    ended_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(tz=dt.UTC))

    def incomplete(self, *, most_failed: float, optional_hosts: Collection[str] = ()) -> IncompleteFetch | None:
        """What is missing for a dataset, and when to try again; None where nothing is (`pipeline.photos.missing`)."""
        return incomplete(
            self.missing,
            photos=sum(self.statuses.values()),
            most_failed=most_failed,
            optional_hosts=optional_hosts,
            ended_at=self.ended_at,
        )

    def require_complete(self, *, most_failed: float, optional_hosts: Collection[str] = ()) -> None:
        """Refuse a fetch that too much is missing of.

        Args:
            most_failed: The setting `photos.most_failed`.
            optional_hosts: The setting `photos.optional_hosts`.

        Raises:
            IncompleteFetchError: a host was left alone, or more than that failed for reasons that pass.
        """
        found = self.incomplete(most_failed=most_failed, optional_hosts=optional_hosts)
        if found is not None:
            raise IncompleteFetchError(found.reason)


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
    can be killed at any moment: what was finished before is kept, and the next run goes on from there. Whether enough
    came is for the caller to ask (`FetchSummary.require_complete`); where it did not, a record says so until it does
    (`pipeline.photos.incomplete`).

    Args:
        paths: The files of the scope.
        settings: The section `photos`.
        hosts: Hosts that are reached at a fixed IP address and port, by name, although it may be private: the replica.
        log: Receives a line about every five seconds.
        patience: How long to wait for hosts.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
        LockedError: another fetch into the same folder is running.
        ChildError: processes that verify photographs do not start, or are ended from outside.
        StorageError: a file cannot be written.
    """
    try:
        with exclusive(paths.fetch_journal.parent / ".lock"), work_folder(paths.work("fetch")) as folder:
            limits = limits_of(settings.photos, tuple(hosts))
            wanted = folder / "pending.parquet"
            todo = plan(paths, ask_again_days=settings.photos.ask_again_days, limits=limits, output=wanted)
            log(f"{todo.photos:,} of {count(paths.table('photo_index')):,} photographs are to be fetched")
            judge = functools.partial(verify, max_pixels=settings.photos.max_pixels)
            report = Report(total=todo.photos, log=log)
            with open_journal(paths) as journal, Verifier(folder=paths.photos, judge=judge) as verifier:
                fetcher = Fetcher(
                    photos=settings.photos,
                    hosts=hosts,
                    spent=todo.received,
                    journal=journal,
                    verifier=verifier,
                    limits=limits,
                    patience=patience,
                    report=report,
                    log=log,
                )
                if todo.photos:
                    run(fetcher.run(wanted, authorities=todo.authorities))
            if todo.photos:
                log(report.line())
            summary = FetchSummary(
                requests=fetcher.requests,
                statuses=fold(paths),
                missing=fetcher.missing,
                bytes=report.bytes,
                seconds=report.seconds,
            )
            photos = settings.photos
            remember(paths, summary.incomplete(most_failed=photos.most_failed, optional_hosts=photos.optional_hosts))
            return summary
    except OSError as error:
        raise StorageError(
            f"the fetch of photographs stopped, for {error.filename or paths.data_root} cannot be written "
            f"({error.strerror or error}); make room there or give this account the right to write, then run the same "
            "command again: what was fetched is kept"
        ) from error
