"""Photographs on disk that nothing names: found by one query, whatever their number, and removed a slice at a time."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.paths import Paths
from pipeline.photos.bodies import path_of
from pipeline.query import connect, copy, parquet, rows
from pipeline.retention.leftovers import KILLED, leftover
from pipeline.retention.removals import Bodies, Removal

SLICE: Final = 5_000
"""Photographs that are listed or removed at a time."""
EXAMPLES: Final = 3
SHOWN: Final = ("split", "genus_photos", "exam")
"""Tables that name photographs by their path; there may be no exam yet."""
_STORED: Final = pa.schema([("sha256", pa.string()), ("bytes", pa.int64())])
_CREDITED: Final = pa.schema([("photo_id", pa.string())])
_HASH: Final = 64
"""Hexadecimal digits of a SHA-256."""


def unreadable(paths: Paths, *, datasets: Iterable[str]) -> str | None:
    """Why it cannot be known which photographs are needed; None where it can.

    Args:
        paths: The files of the scope.
        datasets: The dataset versions that kept model versions name.
    """
    journals = [paths.fetch_journal, *paths.attempts.glob("*.jsonl")]
    if any(journal.exists() and journal.stat().st_size for journal in journals):
        return "a fetch was interrupted and its journal is still open; the next run of `photos` closes it"
    for name in ("photos", "split", "genus_photos"):
        if not paths.table(name).exists():
            return f"the table {name} is missing; materialise the asset that writes it"
    if not any(paths.attempts.glob("*.parquet")):
        return f"there is no record of the fetches in {paths.attempts}"
    for dataset in datasets:
        if not _attribution(paths, dataset).exists():
            return (
                f"{_attribution(paths, dataset)} is missing, which names the photographs that a kept model version "
                "was trained on"
            )
    return None


def find_bodies(paths: Paths, *, datasets: Iterable[str], work: Path) -> tuple[Bodies, list[Removal]]:
    """The photographs that nothing names, and half-written ones. No other process may be storing photographs.

    Args:
        paths: The files of the scope; `unreadable` says None of them.
        datasets: The dataset versions whose photographs stay.
        work: A folder for tables, as large as the hashes of all photographs.
    """
    half: list[Removal] = []
    stored = work / "stored.parquet"
    with pq.ParquetWriter(stored, _STORED, compression="zstd") as writer:
        bodies = _stored(paths, half=half)
        while some := list(islice(bodies, SLICE)):
            writer.write_table(pa.table(list(zip(*some, strict=True)), schema=_STORED))
    inputs = {"stored": stored, "attempts": paths.attempts, "photos": paths.table("photos")}
    shown = [paths.table(name) for name in SHOWN if paths.table(name).exists()]
    credited = [_attribution(paths, dataset) for dataset in datasets]
    with connect(inputs=inputs, spill=work / "spill") as connection:
        connection.execute(f"create view shown as select path from {parquet(*shown)}")  # noqa: S608
        if credited:
            connection.execute(f"create view credited as select photo_id from {parquet(*credited)}")  # noqa: S608
        else:
            connection.register("credited", _CREDITED.empty_table())
        table = copy(connection, "orphan_bodies", output=work / "orphans.parquet")
    (total,) = rows("orphan_bodies_total", inputs={"orphans": table})
    with pq.ParquetFile(table) as file:
        first = next(file.iter_batches(batch_size=EXAMPLES, columns=["sha256"]), None)
    examples = [] if first is None else first.column("sha256").to_pylist()
    found = Bodies(
        table=table,
        number=total["bodies"],
        bytes=total["bytes"],
        examples=tuple(str(path_of(paths.photos, each).relative_to(paths.data_root)) for each in examples),
    )
    return found, half


def remove_bodies(paths: Paths, bodies: Bodies, *, before_each: Callable[[], None]) -> int:
    """Remove photographs; killed meanwhile, what is left is found again.

    Args:
        paths: The files of the scope.
        bodies: What `find_bodies` found.
        before_each: Called before each slice; raises where something in it may be needed by now.

    Returns:
        The bytes that were freed.
    """
    freed = 0
    with pq.ParquetFile(bodies.table) as file:
        for batch in file.iter_batches(batch_size=SLICE):
            before_each()
            for sha256, size in zip(batch.column("sha256").to_pylist(), batch.column("bytes").to_pylist(), strict=True):
                path_of(paths.photos, sha256).unlink(missing_ok=True)
                freed += size
    return freed


def _attribution(paths: Paths, dataset: str) -> Path:
    return paths.dataset_version(dataset) / "attribution.parquet"


def _stored(paths: Paths, *, half: list[Removal]) -> Iterator[tuple[str, int]]:
    """Hash and bytes of each body; half-written ones are noted in `half`, and other files are nobody's business."""
    for part in sorted(paths.photos.iterdir()) if paths.photos.exists() else ():
        if not part.is_dir():
            continue
        with os.scandir(part) as entries:
            for entry in entries:
                if entry.name.endswith(".partial"):
                    half.append(leftover(paths.data_root, Path(entry.path), reason=KILLED))
                elif entry.name.endswith(".jpg") and len(entry.name) == _HASH + 4:
                    yield entry.name[:_HASH], entry.stat().st_size
