"""What is known about every photograph: which to ask for, and the ledger once they were asked for. Nothing is fetched.

The attempts themselves are written by `journal`; the ledger is what they come to for the photographs of the index.
"""

import datetime as dt
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import PhotoSettings
from pipeline.errors import TableError
from pipeline.files import atomic_path, digest_of
from pipeline.paths import Paths
from pipeline.photos.index import SIZED
from pipeline.query import rows, to_parquet
from pipeline.rejections import write_rejections

_STORED: Final = pa.schema([("sha256", pa.string()), ("bytes", pa.int64())])
MEMORY: Final = "256 MiB"
"""What DuckDB may use for one query here; larger tables go through temporary files."""
THREADS: Final = 2
"""More would need more memory than that."""
GROUPS: Final = 1
"""Row groups of the photo index that are folded at a time, about 120,000 photographs."""


def limits_of(photos: PhotoSettings, hosts: tuple[str, ...]) -> str:
    """What `too_large` and `blocked` depend upon; such a verdict is void once this changes."""
    return digest_of(photos.max_bytes, photos.max_pixels, photos.allow_private_hosts, sorted(hosts))


def pending(paths: Paths, *, photos: PhotoSettings, limits: str, output: Path) -> Path:
    """Write the photographs to ask for (authority, photo_id, url) to `output`, ordered by authority.

    Args:
        paths: Where the files of the scope lie; the journal is sealed.
        photos: `photos.ask_again_days` is how long a permanent failure stands.
        limits: `limits_of` this run.
        output: The Parquet file to write.

    Raises:
        TableError: the photo index is missing.
    """
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        stored = list_stored(paths.photos, output=Path(folder) / "stored.parquet")
        return to_parquet(
            "photos_pending",
            inputs={"photo_index": paths.table("photo_index"), "attempts": paths.attempts, "stored": stored},
            output=output,
            memory_limit=MEMORY,
            threads=THREADS,
            sized=SIZED,
            limits=limits,
            asked_before=dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=photos.ask_again_days),
        )


def fold(paths: Paths) -> dict[str, int]:
    """Write the ledger `photos.parquet` and the rejections of the stage `photos`; the journal is sealed.

    Returns:
        Photographs by status.

    Raises:
        TableError: the photo index is missing, or not in the order of photo_id.
    """
    index, ledger = paths.table("photo_index"), paths.table("photos")
    with tempfile.TemporaryDirectory(dir=ledger.parent, prefix=".photos.") as folder, atomic_path(ledger) as partial:
        parts = (
            to_parquet(
                "photos",
                inputs={"photo_index": index, "attempts": paths.attempts},
                output=Path(folder) / "part.parquet",
                memory_limit=MEMORY,
                threads=THREADS,
                sized=SIZED,
                first=first,
                before=before,
            )
            for first, before in _ranges(index)
        )
        _join(parts, output=partial)
    rejected = paths.data_root / "fetch" / "rejections.parquet"
    try:
        to_parquet("photos_rejections", inputs={"photos": ledger}, output=rejected)
        write_rejections(paths, "photos", rejected)
    finally:
        rejected.unlink(missing_ok=True)
    return {row["status"]: row["photos"] for row in rows("photos_outcome", inputs={"photos": ledger})}


def _ranges(index: Path) -> list[tuple[str, str | None]]:
    """Ranges of photo_id that together hold all: (the first, the one before which it ends)."""
    begins = [""]
    if index.exists():
        with pq.ParquetFile(index) as table:
            later = range(GROUPS, table.num_row_groups, GROUPS)
            begins += [table.read_row_group(group, columns=["photo_id"])["photo_id"][0].as_py() for group in later]
    if begins != sorted(begins):
        raise TableError(f"{index} is not in the order of photo_id; materialise photo_index again")
    return list(zip(begins, [*begins[1:], None], strict=True))


def _join(parts: Iterable[Path], *, output: Path) -> None:
    """Write the rows of all parts, one part after the other; each is read before the next is made."""
    writer: pq.ParquetWriter | None = None
    for part in parts:
        with pq.ParquetFile(part) as table:
            if writer is None:
                writer = pq.ParquetWriter(output, table.schema_arrow, compression="zstd")
            for batch in table.iter_batches():
                writer.write_batch(batch)
    if writer is not None:
        writer.close()


def received_lately(paths: Paths) -> dict[str, list[tuple[float, int]]]:
    """Bytes that each host sent within the last day, by minute: authority -> [(seconds since the epoch, bytes)]."""
    by_host: dict[str, list[tuple[float, int]]] = {}
    since = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=1)
    for row in rows("photos_received", inputs={"attempts": paths.attempts}, since=since):
        by_host.setdefault(row["authority"], []).append((float(row["moment"]), int(row["bytes"])))
    return by_host


def list_stored(folder: Path, *, output: Path) -> Path:
    """Write hash and size of every body below `folder` to the Parquet file `output`.

    What a killed run left half written is removed on the way. Memory holds one of the 256 folders at a time.
    """
    with pq.ParquetWriter(output, _STORED, compression="zstd") as writer:
        for part in sorted(folder.iterdir()) if folder.exists() else ():
            writer.write_table(_listed(part))
    return output


def _listed(part: Path) -> pa.Table:
    hashes: list[str] = []
    sizes: list[int] = []
    for entry in _entries(part):
        if entry.name.endswith(".partial"):
            Path(entry.path).unlink()
        else:
            hashes.append(entry.name.removesuffix(".jpg"))
            sizes.append(entry.stat().st_size)
    return pa.table([hashes, sizes], schema=_STORED)


def _entries(part: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(part) as entries:
        yield from entries
