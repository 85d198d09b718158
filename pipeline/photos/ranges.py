"""Cuts the photo index and the attempts into ranges of photo_id, so that what is asked of one takes bounded memory.

Queries over all photographs at once take memory that grows with them, or fail where that is limited.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.photos.journal import SEALED
from pipeline.query import count

ROWS: Final = 10_000
"""Photographs of a range."""
MOST: Final = 256
"""Ranges at most, for each is an open file while attempts are distributed; larger indexes have larger ranges."""
_BATCH: Final = 16_384
"""Attempts that are in memory at a time while they are distributed."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """The photographs from `first` up to, but without, `before`; to the end where that is None."""

    first: str
    before: str | None
    attempts: pa.Table | Path
    """All attempts of these photographs, and perhaps others."""


def ranges(index: Path, attempts: Path, *, folder: Path) -> Iterator[Range]:
    """The ranges that together hold every photograph, in their order.

    Args:
        index: The photo index; where it is missing, one range holds everything.
        attempts: The folder of sealed attempts.
        folder: An empty folder for the attempts of each range, on a disk with room for all of them.

    Raises:
        TableError: the photo index is not in the order of photo_id.
    """
    begins = _begins(index) if index.exists() else [""]
    ends = [*begins[1:], None]
    if len(begins) == 1:
        yield Range(first="", before=None, attempts=attempts)
        return
    parts = _distributed(attempts, bounds=begins[1:], folder=folder)
    # What was read to get here goes back to the system before the queries take theirs.
    pa.default_memory_pool().release_unused()
    for first, before, part in zip(begins, ends, parts, strict=True):
        with pa.memory_map(str(part)) as source, pa.ipc.open_stream(source) as reader:
            yield Range(first=first, before=before, attempts=reader.read_all())
        part.unlink()


def _begins(index: Path) -> list[str]:
    """The first photo_id of each range; that of the first one is before all."""
    step = max(ROWS, -(-count(index) // MOST))
    begins: list[str] = []
    seen = 0
    with pq.ParquetFile(index) as table:
        for batch in table.iter_batches(columns=["photo_id"], use_threads=False):
            begins += [batch["photo_id"][at].as_py() for at in range(-seen % step, batch.num_rows, step)]
            seen += batch.num_rows
    if begins != sorted(begins):
        raise TableError(f"{index} is not in the order of photo_id; materialise photo_index again")
    return ["", *begins[1:]]


def _distributed(attempts: Path, *, bounds: Sequence[str], folder: Path) -> list[Path]:
    """Write each attempt to the file of its range; `bounds` part the ranges."""
    parts = [folder / f"{number}.arrow" for number in range(len(bounds) + 1)]
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(pa.ipc.new_stream(stack.enter_context(pa.OSFile(str(part), "wb")), SEALED))
            for part in parts
        ]
        for file in sorted(attempts.glob("*.parquet")):
            with pq.ParquetFile(file) as table:
                for batch in table.iter_batches(batch_size=_BATCH, use_threads=False):
                    batch = _with_every_column(batch)  # noqa: PLW2901
                    photo_ids = np.asarray(batch["photo_id"].to_pylist(), dtype=str)
                    numbers = np.searchsorted(np.asarray(bounds), photo_ids, side="right")
                    for number in np.unique(numbers):
                        writers[number].write_batch(batch.filter(pa.array(numbers == number)))
    return parts


def _with_every_column(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch in today's columns; a file of an older version may lack some."""
    rows = batch.num_rows
    names = set(batch.schema.names)
    columns = [batch[field.name] if field.name in names else pa.nulls(rows, field.type) for field in SEALED]
    return pa.RecordBatch.from_arrays(columns, schema=SEALED)
