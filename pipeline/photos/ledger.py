"""What is known about every photograph: which to ask for, and the ledger once they were asked for. Nothing is fetched.

`plan` and `conclude` are what a run calls, each in a process of its own (see `pipeline.launching.child`), for the
queries leave more memory behind than the fetch itself takes. The attempts themselves are written by `journal`; the
ledger is what they come to for the photographs of the index.
"""

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import StorageError
from pipeline.files import atomic_path, digest_of, work_folder
from pipeline.paths import Paths
from pipeline.photos.bodies import remove_partials, size_of
from pipeline.photos.index import SIZED
from pipeline.photos.journal import seal
from pipeline.photos.ranges import Range, ranges
from pipeline.query import rows, to_parquet
from pipeline.rejections import write_rejections

if TYPE_CHECKING:
    # The processes that ask the ledger load little: they are started for every fetch.
    from pipeline.config.settings import PhotoSettings

_STORED: Final = pa.schema([("sha256", pa.string()), ("bytes", pa.int64())])
MEMORY: Final = "128 MiB"
"""What DuckDB may use for one query here; larger tables go through temporary files."""
SORTING: Final = "64 MiB"
"""The same for sorting what is pending, which goes through temporary files anyway."""
SAMPLES: Final = 3
"""Photographs of a host that are remembered to see whether it still gives any."""
THREADS: Final = 1
"""More would need more memory."""


@dataclass(frozen=True, kw_only=True)
class Authority:
    """The photographs that one host and port are to be asked for."""

    name: str
    first: int
    """Where they begin in the table of pending photographs."""
    photos: int
    samples: tuple[str, ...] = ()
    """Addresses of the last photographs that it gave, the newest first."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run has to do."""

    authorities: list[Authority]
    """The one with most photographs first."""
    received: dict[str, list[tuple[float, int]]]
    """`received_lately`."""

    @property
    def photos(self) -> int:
        """How many photographs are to be asked for."""
        return sum(authority.photos for authority in self.authorities)


@contextlib.contextmanager
def disk_errors_named() -> Iterator[None]:
    """Turn what DuckDB says of a full disk or a closed folder into a sentence for people."""
    import duckdb  # noqa: PLC0415 (the process that fetches imports this module, and stays small)

    try:
        yield
    except duckdb.IOException as error:
        said = str(error).splitlines()[0]
        raise StorageError(
            f"the ledger of photographs cannot be written ({said}); make room, then start again"
        ) from error


@disk_errors_named()
def plan(paths: Paths, *, ask_again_days: float, limits: str, output: Path) -> Plan:
    """Clean up after a killed run, then write the photographs to ask for to `output`; nobody else may be fetching.

    Args:
        paths: Where the files of the scope lie.
        ask_again_days: As for `pending`.
        limits: As for `pending`.
        output: As for `pending`.

    Raises:
        TableError: the photo index is missing or not in the order of photo_id, or the journal is damaged.
        StorageError: a table cannot be written.
    """
    remove_partials(paths.photos)
    seal(paths)
    wanted = pending(paths, ask_again_days=ask_again_days, limits=limits, output=output)
    authorities = rows("photos_authorities", inputs={"pending": wanted}, memory_limit=MEMORY, threads=THREADS)
    given = rows(
        "photos_samples", inputs={"attempts": paths.attempts}, memory_limit=MEMORY, threads=THREADS, most=SAMPLES
    )
    samples = {row["authority"]: tuple(row["urls"]) for row in given}
    return Plan(
        authorities=[
            Authority(
                name=row["authority"],
                first=row["first"],
                photos=row["photos"],
                samples=samples.get(row["authority"], ()),
            )
            for row in authorities
        ],
        received=received_lately(paths),
    )


@disk_errors_named()
def conclude(paths: Paths) -> dict[str, int]:
    """Seal the journal, then `fold`.

    Raises:
        TableError: as `plan`.
        StorageError: as `plan`.
    """
    seal(paths)
    return fold(paths)


def limits_of(photos: "PhotoSettings", hosts: tuple[str, ...]) -> str:
    """What `too_large` and `blocked` depend upon; such a verdict is void once this changes."""
    return digest_of(photos.max_bytes, photos.max_pixels, photos.allow_private_hosts, sorted(hosts))


def pending(paths: Paths, *, ask_again_days: float, limits: str, output: Path) -> Path:
    """Write the photographs to ask for (authority, photo_id, url, other_url) to `output`.

    They are in the order of their authority, and of each the never asked for come first.

    Args:
        paths: Where the files of the scope lie; the journal is sealed.
        ask_again_days: How long a permanent failure stands.
        limits: `limits_of` this run.
        output: The Parquet file to write.

    Raises:
        TableError: the photo index is missing, or not in the order of photo_id.
        LockedError: another process is at it.
    """
    asked_before = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=ask_again_days)
    index = paths.table("photo_index")
    with work_folder(paths.work("photos_pending")) as folder:
        parts = (
            to_parquet(
                "photos_wanted",
                inputs={"photo_index": index, "attempts": part.attempts, "stored": _stored(paths, part)},
                output=folder / "part.parquet",
                memory_limit=MEMORY,
                threads=THREADS,
                sized=SIZED,
                first=part.first,
                before=part.before,
                limits=limits,
                asked_before=asked_before,
            )
            for part in ranges(index, paths.attempts, folder=folder)
        )
        wanted = _join(parts, output=folder / "wanted.parquet")
        return to_parquet(
            "photos_pending", inputs={"wanted": wanted}, output=output, memory_limit=SORTING, threads=THREADS
        )


def _stored(paths: Paths, part: Range) -> pa.Table:
    """Hash and size of the stored bodies among those that were received for the photographs of a range."""
    bodies = rows(
        "photos_bodies",
        inputs={"photo_index": paths.table("photo_index"), "attempts": part.attempts},
        memory_limit=MEMORY,
        threads=THREADS,
        first=part.first,
        before=part.before,
    )
    sizes = {body["sha256"]: size_of(paths.photos, body["sha256"]) for body in bodies}
    found = {sha256: size for sha256, size in sizes.items() if size is not None}
    return pa.table([list(found), list(found.values())], schema=_STORED)


def fold(paths: Paths) -> dict[str, int]:
    """Write the ledger `photos.parquet` and the rejections of the stage `photos`; the journal is sealed.

    Returns:
        Photographs by status.

    Raises:
        TableError: the photo index is missing, or not in the order of photo_id.
        LockedError: another process is at it.
    """
    index, ledger = paths.table("photo_index"), paths.table("photos")
    with work_folder(paths.work("photos")) as folder:
        parts = (
            to_parquet(
                "photos",
                inputs={"photo_index": index, "attempts": part.attempts},
                output=folder / "part.parquet",
                memory_limit=MEMORY,
                threads=THREADS,
                sized=SIZED,
                first=part.first,
                before=part.before,
            )
            for part in ranges(index, paths.attempts, folder=folder)
        )
        with atomic_path(ledger) as partial:
            _join(parts, output=partial)
        rejected = to_parquet(
            "photos_rejections",
            inputs={"photos": ledger},
            output=folder / "rejections.parquet",
            memory_limit=MEMORY,
            threads=THREADS,
        )
        write_rejections(paths, "photos", rejected, memory_limit=MEMORY, threads=THREADS)
    outcome = rows("photos_outcome", inputs={"photos": ledger}, memory_limit=MEMORY, threads=THREADS)
    return {row["status"]: row["photos"] for row in outcome}


def _join(parts: Iterable[Path], *, output: Path) -> Path:
    """Write the rows of all parts, one part after the other; each is read before the next is made."""
    writer: pq.ParquetWriter | None = None
    for part in parts:
        with pq.ParquetFile(part) as table:
            if writer is None:
                writer = pq.ParquetWriter(output, table.schema_arrow, compression="zstd")
            for batch in table.iter_batches(use_threads=False):
                writer.write_batch(batch)
    if writer is not None:
        writer.close()
    return output


def received_lately(paths: Paths) -> dict[str, list[tuple[float, int]]]:
    """Bytes that each host sent within the last day, by minute: authority -> [(seconds since the epoch, bytes)]."""
    by_host: dict[str, list[tuple[float, int]]] = {}
    since = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=1)
    received = rows(
        "photos_received", inputs={"attempts": paths.attempts}, memory_limit=MEMORY, threads=THREADS, since=since
    )
    for row in received:
        by_host.setdefault(row["authority"], []).append((float(row["moment"]), int(row["bytes"])))
    return by_host
