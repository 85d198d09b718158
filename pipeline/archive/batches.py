"""Writes rows of any kind to Parquet in batches, so that memory stays flat."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

BATCH: Final = 20_000
"""Rows held in memory."""
REJECTS: Final = pa.schema([("line", pa.int64()), ("rule", pa.string()), ("detail", pa.string())])
"""One row per line of a text file that is not a row; the first line of the file is 1."""


class BatchWriter:
    """A Parquet file that grows.

    Args:
        path: The file; written from the start.
        schema: The columns of the rows.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._held: list[Sequence[object]] = []

    def add(self, *row: object) -> None:
        """Add one row, its values in the order of the schema."""
        self._held.append(row)
        self.rows += 1
        if len(self._held) >= BATCH:
            self._flush()

    def close(self) -> None:
        """Write the rows still in memory, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = list(zip(*self._held, strict=True)) or [()] * len(self._schema)
        arrays = [pa.array(values, kind.type) for values, kind in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._held.clear()


@contextlib.contextmanager
def batches(path: Path, schema: pa.Schema) -> Iterator[BatchWriter]:
    """A writer for the rows of the block; the file is complete when the block ends."""
    writer = BatchWriter(path, schema)
    try:
        yield writer
    finally:
        writer.close()
