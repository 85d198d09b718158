"""What the attempts come to: which photographs to ask for, and the ledger `photos.parquet`. Nothing is fetched here.

The attempts are written by `journal`. Each answer is one query of `sql/` over all of them.
"""

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipeline.config.settings import PhotoSettings
from pipeline.errors import StorageError
from pipeline.files import digest_of, work_folder
from pipeline.paths import Paths
from pipeline.photos.bodies import stored
from pipeline.photos.index import SIZED
from pipeline.photos.journal import seal
from pipeline.query import rows, to_parquet
from pipeline.rejections import write_rejections

SAMPLES: Final = 8
"""Photographs of a host that are remembered to see whether it still gives them."""
SLICE: Final = 5_000
"""Rows of the table of pending photographs that are in memory at a time, for each host."""
_STORED: Final = pa.schema([("sha256", pa.string()), ("bytes", pa.int64())])


@dataclass(frozen=True, kw_only=True)
class Authority:
    """The photographs that one host and port are to be asked for."""

    name: str
    photos: int
    samples: tuple[str, ...] = ()
    """Addresses of the last photographs that it gave, the newest first."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run has to do."""

    authorities: list[Authority]
    """The one with most photographs first."""
    received: dict[str, list[tuple[float, int]]]
    """As `received_lately` returns it."""

    @property
    def photos(self) -> int:
        """How many photographs are to be asked for."""
        return sum(authority.photos for authority in self.authorities)


@contextlib.contextmanager
def disk_errors_named() -> Iterator[None]:
    """Turn what DuckDB says of a full disk or a folder without write permission into a sentence for people."""
    try:
        yield
    except duckdb.IOException as error:
        said = str(error).splitlines()[0]
        raise StorageError(
            f"the ledger of photographs cannot be written ({said}); make room, then start again"
        ) from error


@disk_errors_named()
def plan(paths: Paths, *, ask_again_days: float, limits: str, output: Path) -> Plan:
    """Clean up after a killed run, then write the photographs to ask for to `output`.

    No other process may be fetching into the same folder.

    Args:
        paths: The files of the scope.
        ask_again_days: As for `pending`.
        limits: As for `pending`.
        output: As for `pending`.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
        StorageError: a table cannot be written.
    """
    seal(paths)
    wanted = pending(paths, ask_again_days=ask_again_days, limits=limits, output=output)
    inputs = {"pending": wanted, "attempts": paths.attempts}
    return Plan(
        authorities=[
            Authority(name=row["authority"], photos=row["photos"], samples=tuple(row["samples"] or ()))
            for row in rows("photos_authorities", inputs=inputs, most=SAMPLES)
        ],
        received=received_lately(paths),
    )


def limits_of(photos: PhotoSettings, hosts: tuple[str, ...]) -> str:
    """A digest of what the verdicts `too_large` and `blocked` depend on; they are void once it changes."""
    return digest_of(photos.max_bytes, photos.max_pixels, photos.allow_private_hosts, sorted(hosts))


def pending(paths: Paths, *, ask_again_days: float, limits: str, output: Path) -> Path:
    """Write the photographs to ask for (columns authority, photo_id, url, other_url) to `output`.

    They are ordered by authority; within one, photographs that were never asked for come first.

    Args:
        paths: The files of the scope; the journal is sealed.
        ask_again_days: How many days a permanent failure stands.
        limits: `limits_of` this run.
        output: The Parquet file to write; a file with the suffix `.stored` is written beside it.

    Raises:
        TableError: the photo index is missing.
    """
    asked_before = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=ask_again_days)
    inputs = {
        "photo_index": paths.table("photo_index"),
        "attempts": paths.attempts,
        "stored": _write_stored(paths.photos, output=output.with_suffix(".stored")),
    }
    return to_parquet(
        "photos_pending",
        inputs=inputs,
        output=output,
        sized=SIZED,
        limits=limits,
        asked_before=asked_before,
    )


def _write_stored(folder: Path, *, output: Path) -> Path:
    """Write hash and size of every stored body to a Parquet file, a slice at a time."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(output, _STORED) as writer:
        bodies = stored(folder)
        while some := list(islice(bodies, SLICE)):
            writer.write_table(pa.table(list(zip(*some, strict=True)), schema=_STORED))
    return output


def photos_of(wanted: Path, *, authority: str) -> Iterator[dict[str, Any]]:
    """The photographs (photo_id, url, other_url) of one authority in a table that `pending` wrote, in its order."""
    batches = ds.dataset(wanted).to_batches(
        columns=["photo_id", "url", "other_url"],
        filter=ds.field("authority") == authority,
        batch_size=SLICE,
        batch_readahead=1,
        use_threads=False,
    )
    for batch in batches:
        yield from batch.to_pylist()


@disk_errors_named()
def fold(paths: Paths) -> dict[str, int]:
    """Seal the journal, then write the ledger `photos.parquet` and the rejections of the stage `photos`.

    Returns:
        Photographs by status.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
        LockedError: another process is at it.
        StorageError: a table cannot be written.
    """
    seal(paths)
    inputs = {"photo_index": paths.table("photo_index"), "attempts": paths.attempts}
    ledger = to_parquet("photos", inputs=inputs, output=paths.table("photos"), sized=SIZED)
    with work_folder(paths.work("photos")) as folder:
        rejected = to_parquet("photos_rejections", inputs={"photos": ledger}, output=folder / "rejections.parquet")
        write_rejections(paths, "photos", rejected)
    return {row["status"]: row["photos"] for row in rows("photos_outcome", inputs={"photos": ledger})}


def received_lately(paths: Paths) -> dict[str, list[tuple[float, int]]]:
    """Bytes that each host sent within the last day, by minute: authority -> [(seconds since the epoch, bytes)]."""
    by_host: dict[str, list[tuple[float, int]]] = {}
    since = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=1)
    for row in rows("photos_received", inputs={"attempts": paths.attempts}, since=since):
        by_host.setdefault(row["authority"], []).append((float(row["moment"]), int(row["bytes"])))
    return by_host
