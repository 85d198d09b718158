"""The file of a network's answers: written row group by row group, its probabilities read the same way.

Parquet holds the whole distribution of each photograph as a fixed-size list of float16, uncompressed; DuckDB reads the
lists as FLOAT[].
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.files import replacing

COLUMN = "probabilities"
EMBEDDING = "embedding"
GROUP_CELLS = 4_000_000
"""Probabilities of one row group, 8 MB as float16: what a writer, and each thread of a reader, holds in memory."""
GROUP_ROWS = 65_536
LARGEST_GROUP = 64_000_000
"""Bytes of the largest row group that is read in place; a file with larger ones is rewritten first."""


class PredictionWriter:
    """Writes answers as they come, in row groups of bounded size; see `prediction_writer`."""

    def __init__(self, parquet: pq.ParquetWriter, *, group_rows: int) -> None:
        self._parquet = parquet
        self._group_rows = group_rows
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def add(
        self,
        *,
        photo_ids: Sequence[str],
        labels: npt.NDArray[np.integer],
        halves: Sequence[str | None],
        top_ids: npt.NDArray[np.integer],
        top_probabilities: npt.NDArray[np.floating],
        distributions: npt.NDArray[np.float16] | None,
        embeddings: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Take the answers for N photographs.

        Args:
            photo_ids: Their identifiers.
            labels: True class ids. Shape N.
            halves: `calibration` or `evaluation`; not looked at where the file does not keep distributions.
            top_ids: The most probable classes, the first is the prediction. Shape N x top.
            top_probabilities: Their probabilities. Shape N x top.
            distributions: All probabilities. Shape N x classes; None where the file does not keep them.
            embeddings: What the head saw. Shape N x F; None where the file does not keep them.
        """
        columns: dict[str, Any] = {
            "photo_id": photo_ids,
            "class_id": labels,
            "half": halves,
            "predicted_class_id": top_ids[:, 0],
            "probability": top_probabilities[:, 0],
            "top_class_ids": top_ids,
            "top_probabilities": top_probabilities,
            COLUMN: distributions,
            EMBEDDING: embeddings,
        }
        schema = self._parquet.schema
        arrays = [_array(columns[field.name], field.type) for field in schema]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        self._rows += len(photo_ids)
        if self._rows >= self._group_rows:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one row group."""
        if self._waiting:
            self._parquet.write_table(pa.Table.from_batches(self._waiting), row_group_size=self._rows)
        self._waiting, self._rows = [], 0


@contextlib.contextmanager
def prediction_writer(
    path: Path, *, classes: int, top: int, distributions: bool, embeddings: int = 0
) -> Iterator[PredictionWriter]:
    """Write answers to `path`; the file is in its place once the block has ended well, else nothing is.

    Columns: photo_id, class_id (the truth), predicted_class_id, probability (of the prediction), top_class_ids and
    top_probabilities (the most probable first); with `distributions` also half, after class_id, and probabilities; with
    `embeddings` also embedding.

    Args:
        path: The Parquet file.
        classes: Outputs of the network.
        top: Length of the lists of the most probable classes.
        distributions: Whether the halves of validation and the probabilities of all classes are kept.
        embeddings: Numbers of an embedding, which is kept as float32; 0 where it is not.
    """
    fields = [("photo_id", pa.string()), ("class_id", pa.int32())]
    fields += [("half", pa.string())] if distributions else []
    fields += [
        ("predicted_class_id", pa.int32()),
        ("probability", pa.float32()),
        ("top_class_ids", _lists(pa.int32(), top)),
        ("top_probabilities", _lists(pa.float32(), top)),
    ]
    fields += [(COLUMN, _lists(pa.float16(), classes))] if distributions else []
    fields += [(EMBEDDING, _lists(pa.float32(), embeddings))] if embeddings else []
    schema = pa.schema([pa.field(name, kind, nullable=name == "half") for name, kind in fields])
    kept = [name for name in schema.names if name not in {COLUMN, EMBEDDING}]
    with (
        replacing(path) as partial,
        pq.ParquetWriter(
            partial,
            schema,
            # Nearly all probabilities differ: dictionaries, statistics and compression would only cost.
            compression={name: "zstd" if name in kept else "none" for name in schema.names},
            use_dictionary=[name for name in kept if name == "half"],
            write_statistics=kept,
        ) as parquet,
    ):
        # A number of an embedding takes the memory of two probabilities.
        cells = (classes if distributions else 0) + 2 * embeddings
        group_rows = min(GROUP_ROWS, max(1, GROUP_CELLS // max(1, cells)))
        writer = PredictionWriter(parquet, group_rows=group_rows)
        yield writer
        writer.flush()


class StoredProbabilities:
    """Photographs x classes in a column of a Parquet file, by default `probabilities`; like a memory-mapped array.

    Rows are read when they are asked for, by slice or by an array of rows. Each thread holds one row group.
    """

    ndim = 2

    def __init__(self, path: Path, *, column: str = COLUMN) -> None:
        """Open `path`.

        Raises:
            DataError: the file cannot be read, or its column is not a fixed-size list of floats.
        """
        self.path = path
        self._column = column
        try:
            self._metadata = pq.read_metadata(path)
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"cannot read {path} as Parquet: {error}") from error
        if not holds_distributions(schema, column=column):
            raise DataError(f"{path} has no column {column} of fixed-size lists of floating point numbers")
        kind = schema.field(column).type
        self.shape = (int(self._metadata.num_rows), int(kind.list_size))
        self.dtype: np.dtype[Any] = np.dtype(kind.value_type.to_pandas_dtype())
        counts = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._edges = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._held = threading.local()

    @property
    def size(self) -> int:
        """Number of probabilities."""
        return self.shape[0] * self.shape[1]

    @property
    def itemsize(self) -> int:
        """Bytes of one probability."""
        return self.dtype.itemsize

    @property
    def largest_group(self) -> int:
        """Bytes of the largest row group."""
        return int(np.diff(self._edges).max(initial=0)) * self.shape[1] * self.itemsize

    def __len__(self) -> int:
        """Number of photographs."""
        return self.shape[0]

    def __getitem__(self, rows: slice | npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> npt.NDArray[np.floating]:
        """The distributions of `rows`, in their order. Shape: rows x classes."""
        wanted = np.arange(len(self))[rows]
        if isinstance(rows, slice) and rows.step in {None, 1} and len(wanted):
            first, last = (int(self._group_of(wanted[end])) for end in (0, -1))
            if first == last:
                begin = wanted[0] - self._edges[first]
                return self._group(first)[begin : begin + len(wanted)]
        found = np.empty((len(wanted), self.shape[1]), dtype=self.dtype)
        groups = self._group_of(wanted)
        for group in np.unique(groups):
            here = groups == group
            found[here] = self._group(int(group))[wanted[here] - self._edges[group]]
        return found

    def _group_of(self, rows: Any) -> npt.NDArray[np.intp]:  # noqa: ANN401 (one row or many)
        return np.asarray(np.searchsorted(self._edges, rows, side="right") - 1)

    def _group(self, group: int) -> npt.NDArray[np.floating]:
        """One row group; the thread's last one is remembered: blocks are smaller than groups."""
        if getattr(self._held, "group", None) != group:
            try:
                # A reader is not safe for several threads; with known metadata, opening is cheap.
                with pq.ParquetFile(self.path, metadata=self._metadata) as file:
                    column = file.read_row_group(group, columns=[self._column], use_threads=False)[self._column]
            except (OSError, pa.ArrowException) as error:
                raise DataError(f"cannot read the {self._column} of {self.path}: {error}") from error
            blocks = [distributions_of(chunk, self.path) for chunk in column.chunks]
            self._held.values = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
            self._held.group = group
        values: npt.NDArray[np.floating] = self._held.values
        return values


def open_probabilities(path: Path) -> npt.NDArray[np.floating] | StoredProbabilities:
    """Photographs x classes of a network that was trained here: a `.npy` file, mapped into memory, or Parquet.

    Raises:
        DataError: the file cannot be read.
    """
    return StoredProbabilities(path) if is_parquet(path) else read_array(path)


def read_array(path: Path) -> npt.NDArray[Any]:
    """A `.npy` file, mapped into memory instead of read.

    Raises:
        DataError: the file is missing or no array; pickled objects are refused.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot read {path} as a NumPy array (.npy): {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path} holds several arrays (.npz); save one with numpy.save")
    return array


def is_parquet(path: Path) -> bool:
    """Whether the name says that it is a Parquet file."""
    return path.suffix.casefold() in {".parquet", ".pq"}


def holds_distributions(schema: pa.Schema, *, column: str = COLUMN) -> bool:
    """Whether there is such a column of fixed-size lists of floating point numbers."""
    if column not in schema.names:
        return False
    kind = schema.field(column).type
    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type))


def distributions_of(column: pa.Array, path: Path) -> npt.NDArray[np.floating]:
    """The lists of a column as rows, without copying.

    Raises:
        DataError: some are blank, or they differ in length.
    """
    values = column.flatten()
    if column.null_count or values.null_count:
        raise DataError(f"{path} has blank probabilities")
    if not pa.types.is_fixed_size_list(column.type) and len(set(column.value_lengths().to_pylist())) > 1:
        raise DataError(f"{path}: rows differ in their number of probabilities")
    if len(values) == 0:
        raise DataError(f"{path} has no probabilities in its rows")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(len(column), -1)


def _lists(kind: pa.DataType, length: int) -> pa.DataType:
    return pa.list_(pa.field("element", kind, nullable=False), length)


def _array(values: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401 (a column in whatever form)
    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values).ravel(), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    return pa.array(values, kind)
