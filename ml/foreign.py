"""Files of anybody's classifier: probabilities, labels and a taxonomy as .npy or Parquet, in whatever class order.

Large probabilities stay on disk: what is neither a .npy file nor one of ours (`ml.predictions`), both in the order of
the taxonomy, becomes a .npy file in a folder given by the caller, block by block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.predictions import (
    COLUMN,
    LARGEST_GROUP,
    StoredProbabilities,
    distributions_of,
    holds_distributions,
    is_parquet,
    read_array,
)
from ml.spec import RANKS
from ml.taxonomy import Taxonomy
from ml.tree_sums import Distributions, Probabilities, blocks

Row = dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Labels:
    """The labels' file."""

    class_ids: npt.NDArray[np.integer]
    """Shape N."""
    halves: npt.NDArray[np.object_] | None = None
    """`calibration` or `evaluation`. Shape N; None where the file does not say."""
    observations: npt.NDArray[np.object_] | None = None
    """Shape N."""


def read_labels(path: Path) -> Labels:
    """Class ids from .npy, or from Parquet: `class_id` (or the only column), if present `half` and `observation_id`.

    Raises:
        DataError: the file cannot be read or has no such column.
    """
    if not is_parquet(path):
        return Labels(class_ids=read_array(path))
    names = _schema(path).names
    name = "class_id" if "class_id" in names else names[0]
    if name != "class_id" and len(names) > 1:
        raise DataError(f"{path} has no column class_id; its columns are {', '.join(names)}")
    # The file may hold the probabilities, too, which do not fit into the memory.
    table = _table(path, columns=[column for column in (name, "half", "observation_id") if column in names])

    def column(wanted: str) -> npt.NDArray[np.object_] | None:
        return np.array(table[wanted].to_pylist(), dtype=object) if wanted in table.column_names else None

    if table[name].null_count:
        raise DataError(f"{path}: {table[name].null_count} labels are blank; leave those photographs out")
    return Labels(class_ids=table[name].to_numpy(), halves=column("half"), observations=column("observation_id"))


def read_probabilities(path: Path, *, order: npt.NDArray[np.intp] | None, folder: Path) -> Distributions:
    """Photographs x classes from .npy or Parquet: a numeric column per class, one column of lists, or `probabilities`.

    Args:
        path: The file.
        order: The file's class of each class of the taxonomy; None: they are the same.
        folder: Where a rewritten copy may be put.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    source = _parquet(path, folder=folder) if is_parquet(path) else read_array(path)
    if order is None or source.ndim != 2 or source.shape[1] != len(order):
        return source
    arranged = folder / "arranged.npy"
    target = np.lib.format.open_memmap(arranged, mode="w+", dtype=source.dtype, shape=source.shape)
    for rows in blocks(source):
        target[rows] = source[rows][:, order]
    target.flush()
    return read_array(arranged)


def read_taxonomy(path: Path) -> tuple[Taxonomy, npt.NDArray[np.intp] | None]:
    """A taxonomy table, or a table of classes: `class_id` and a column per rank, in any order.

    Returns:
        The tree, and for a table of classes the file's class of each class of the tree.

    Raises:
        MlError: the file is neither.
    """
    table = _table(path)
    if "node_id" in table.column_names:
        return Taxonomy.read(path), None
    ranks = [rank for rank in RANKS if rank in table.column_names]
    if "class_id" not in table.column_names or not ranks:
        raise DataError(
            f"{path} is neither a taxonomy (node_id, parent_id, ...) nor a table of classes (class_id, kingdom, ...)"
        )
    rows = table.select(["class_id", *ranks]).to_pylist()
    if sorted(row["class_id"] for row in rows) != list(range(len(rows))):
        raise DataError(f"{path}: class_id must hold every number from 0 to {len(rows) - 1} once")
    return taxonomy_of_classes(rows, ranks=ranks)


def taxonomy_of_classes(rows: Sequence[Row], *, ranks: Sequence[str]) -> tuple[Taxonomy, npt.NDArray[np.intp]]:
    """Build the tree of classes that are given by their lineages.

    Args:
        rows: One per class: `class_id` and a name for each rank; a blank inner rank becomes a placeholder.
        ranks: Names of the rank columns, the highest first.

    Raises:
        DataError: two classes have the same lineage.
    """

    def lineage(row: Row) -> tuple[str, ...]:
        return tuple("" if row[rank] is None else str(row[rank]) for rank in ranks)

    ordered = sorted(rows, key=lineage)
    nodes: list[Row] = []
    path: list[int] = []

    def open_node(depth: int, name: str, class_id: int | None, leaf: int) -> None:
        nodes.append(
            {
                "node_id": len(nodes),
                "parent_id": path[-1] if path else None,
                "depth": depth,
                "rank": ranks[depth - 1] if depth else "root",
                "name": name or f"unplaced in {nodes[path[-1]]['name']}",
                "taxon_key": None,
                "placeholder": not name,
                "class_id": class_id,
                "leaf_begin": leaf,
                "leaf_end": leaf + 1,
            }
        )
        path.append(len(nodes) - 1)

    open_node(0, "Life", None, 0)
    previous: tuple[str, ...] | None = None
    for leaf, row in enumerate(ordered):
        names = lineage(row)
        if names == previous:
            raise DataError(f"two classes are {' > '.join(names)}: merge them or name them apart")
        shared = 0
        while previous is not None and names[shared] == previous[shared]:
            shared += 1
        del path[shared + 1 :]
        for node in path:
            nodes[node]["leaf_end"] = leaf + 1
        for depth in range(shared + 1, len(ranks) + 1):
            open_node(depth, names[depth - 1], leaf if depth == len(ranks) else None, leaf)
        previous = names
    return Taxonomy.of_rows(nodes), np.array([row["class_id"] for row in ordered], dtype=np.intp)


def _table(path: Path, *, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} as Parquet: {error}") from error


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} as Parquet: {error}") from error


def _parquet(path: Path, *, folder: Path) -> Distributions:
    """Where it lies when its row groups are small, otherwise rewritten."""
    schema = _schema(path)
    if holds_distributions(schema) and (stored := StoredProbabilities(path)).largest_group <= LARGEST_GROUP:
        return stored
    columns = [COLUMN] if COLUMN in schema.names else None
    return _parquet_as_array(path, folder / "probabilities.npy", columns=columns)


def _parquet_as_array(path: Path, target: Path, *, columns: list[str] | None) -> Probabilities:
    """Block by block, so that no more than one is in memory."""
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} as Parquet: {error}") from error
    array: np.memmap[Any, np.dtype[np.floating]] | None = None
    begin = 0
    with file:
        for batch in file.iter_batches(batch_size=1024, columns=columns):
            block = _block_of(batch, path)
            if array is None:
                shape = (file.metadata.num_rows, block.shape[1])
                array = np.lib.format.open_memmap(target, mode="w+", dtype=block.dtype, shape=shape)
            if block.shape[1] != array.shape[1]:
                raise DataError(f"{path}: row {begin} does not have {array.shape[1]} probabilities")
            array[begin : begin + len(block)] = block
            begin += len(block)
    if array is None:
        raise DataError(f"{path} has no rows")
    array.flush()
    return read_array(target)


def _block_of(batch: pa.RecordBatch, path: Path) -> npt.NDArray[np.floating]:
    first = batch.column(0)
    if batch.num_columns == 1 and (pa.types.is_list(first.type) or pa.types.is_fixed_size_list(first.type)):
        return distributions_of(first, path)
    if any(column.null_count for column in batch.columns):
        raise DataError(f"{path} has blank probabilities")
    if not all(pa.types.is_floating(column.type) for column in batch.columns):
        raise DataError(f"{path} must hold floating point columns, one per class in the order of class ids")
    return np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns], axis=1)
