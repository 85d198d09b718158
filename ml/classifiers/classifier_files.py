"""Files of a classifier trained elsewhere: probabilities, labels and a taxonomy, .npy or Parquet, in any class order.

Large probabilities stay on disk. A .npy file and one of ours (`ml.evaluation.predictions`), both in the order of the
taxonomy, are read in place; others are rewritten block by block as a .npy file in a folder given by the caller.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.classifiers.classes import SHOWN, Classes, Order, cleaned, columns_of, taxonomy_of_classes
from ml.errors import DataError
from ml.evaluation.predictions import (
    COLUMN,
    LARGEST_GROUP,
    StoredProbabilities,
    distributions_of,
    holds_distributions,
    read_array,
)
from ml.spec import RANKS
from ml.specificity.tree_sums import Distributions, blocks
from ml.taxonomy import Taxonomy

HALVES = ("calibration", "evaluation")
ASIDE = frozenset({"photo_id", "class_id", "half", "observation_id"})
"""Columns that are no classes."""
BATCH_ROWS = 1024
"""Photographs of a Parquet file that are in memory at once."""


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
        DataError: the file cannot be read, has no such column, or one of them has blanks or unknown words.
    """
    if not _is_parquet(path):
        return Labels(class_ids=read_array(path))
    names = _schema(path).names
    if "class_id" not in names and len(names) != 1:
        raise DataError(f"{path} has no column class_id; its columns are {', '.join(names) or 'none'}")
    name = "class_id" if "class_id" in names else names[0]
    # The file may hold the probabilities, too, which do not fit into the memory.
    table = _table(path, columns=[column for column in (name, "half", "observation_id") if column in names])
    if table[name].null_count:
        raise DataError(f"{path}: {table[name].null_count} labels are blank; leave those photographs out")
    halves = _texts(table, "half", path)
    observations = _texts(table, "observation_id", path)
    if halves is not None:
        halves = np.array([half.casefold() for half in halves], dtype=object)
        _refuse_strange_halves(halves, path)
    if observations is not None and (blank := int((observations == "").sum())):
        raise DataError(
            f"{path}: observation_id is blank for {blank} photographs; fill it in, or leave the column out: then every "
            "photograph stands for itself"
        )
    class_ids = _readable(path, table[name].to_numpy)
    return Labels(class_ids=class_ids, halves=halves, observations=observations)


def read_probabilities(path: Path, *, classes: Classes, folder: Path) -> Distributions:
    """Photographs x classes of the tree, from .npy or Parquet.

    Parquet has a numeric column per class, named so that its class can be found
    (`ml.classifiers.classes.columns_of`), or a column of lists, `probabilities` or the only one, in the
    classifier's own order like a .npy file.

    Args:
        path: The file.
        classes: The classifier's classes.
        folder: Where a rewritten copy may be put.

    Raises:
        DataError: the file cannot be read, or holds something else, or there is no room for a copy.
    """
    count = classes.taxonomy.class_count
    if _is_parquet(path):
        source, order = _parquet(path, classes=classes, folder=folder)
    else:
        source, order = read_array(path), classes.order
    if source.dtype.kind not in "fiu":
        raise DataError(f"{path} holds values of type {source.dtype}, not probabilities")
    if len(source.shape) != 2 or source.shape[1] != count:
        turned = "; transpose it" if len(source.shape) == 2 and source.shape[0] == count else ""
        raise DataError(f"{path} must have the shape photographs x {count} classes, not {source.shape}{turned}")
    if source.shape[0] == 0:
        raise DataError(f"{path} has no rows")
    if order is None:
        return source
    arranged = (np.take(source[rows], order, axis=1) for rows in blocks(source))
    return _copy(folder / "arranged.npy", arranged, rows=len(source))


def read_taxonomy(path: Path) -> Classes:
    """A taxonomy table, or a table of classes: `class_id` and a column per rank, in any order.

    Raises:
        MlError: the file is neither.
    """
    if not _is_parquet(path):
        raise DataError(f"{path} is no Parquet file; a taxonomy, or a table of class_id, kingdom ... species, is one")
    names = _schema(path).names
    if "node_id" in names:
        return Classes(taxonomy=Taxonomy.read(path))
    ranks = [rank for rank in RANKS if rank in names]
    if "class_id" not in names or not ranks:
        raise DataError(
            f"{path} is neither a taxonomy (node_id, parent_id, ...) nor a table of classes (class_id, kingdom, ...)"
        )
    table = _table(path, columns=["class_id", *ranks])
    if not pa.types.is_integer(table["class_id"].type) or table["class_id"].null_count:
        blank = table["class_id"].null_count
        what = f"is blank in {blank} rows" if blank else f"is of type {table['class_id'].type}"
        raise DataError(f"{path}: class_id {what}; it must hold every whole number from 0 on once")
    nested = [rank for rank in ranks if pa.types.is_nested(table[rank].type)]
    if nested or not table.num_rows:
        what = f"{nested[0]} is of type {table[nested[0]].type}, not a name for each class" if nested else "has no rows"
        raise DataError(f"{path}: {what}")
    rows = table.to_pylist()
    if sorted(row["class_id"] for row in rows) != list(range(len(rows))):
        raise DataError(f"{path}: class_id must hold every number from 0 to {len(rows) - 1} once")
    return taxonomy_of_classes(rows, ranks=ranks)


def _is_parquet(path: Path) -> bool:
    """Whether the file's first bytes are Parquet's, not NumPy's.

    Raises:
        DataError: they are neither's; says what the file is instead.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if not path.is_file():
        raise DataError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; name one file")
    with path.open("rb") as stream:
        start = stream.read(6)
    if start.startswith(b"PAR1"):
        return True
    if start == b"\x93NUMPY":
        return False
    others = {b"PK": "a zip or .npz file; save one array with numpy.save", b"\x1f\x8b": "compressed; unpack it first"}
    what = next((other for magic, other in others.items() if start.startswith(magic)), "neither .npy nor Parquet")
    raise DataError(f"cannot read {path}: it is {what if start else 'empty'}")


def _refuse_strange_halves(halves: npt.NDArray[np.object_], path: Path) -> None:
    strange = Counter(half for half in halves if half not in HALVES)
    if strange:
        told = ", ".join(f"{half or 'blank'} ({count})" for half, count in strange.most_common(SHOWN))
        raise DataError(
            f"{path}: half must be calibration or evaluation for every photograph, but {strange.total()} have others: "
            f"{told}; correct them, or leave those photographs out"
        )


def _texts(table: pa.Table, name: str, path: Path) -> npt.NDArray[np.object_] | None:
    """A column as texts without superfluous blanks, empty where there is no value; None without such a column."""
    if name not in table.column_names:
        return None
    if pa.types.is_nested(table[name].type):
        raise DataError(f"{path}: {name} is of type {table[name].type}, not one text or number for each photograph")
    return np.array([cleaned(value) for value in table[name].to_pylist()], dtype=object)


def _readable(path: Path, read: Callable[[], Any]) -> Any:  # noqa: ANN401 (whatever is read)
    try:
        return read()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path} as Parquet: {error}") from error


def _table(path: Path, *, columns: list[str]) -> pa.Table:
    return _readable(path, lambda: pq.ParquetFile(path).read(columns=columns))


def _schema(path: Path) -> pa.Schema:
    schema = _readable(path, lambda: pq.read_schema(path))
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(f"{path} has two columns named {twice[0]!r}")
    return schema


def _parquet(path: Path, *, classes: Classes, folder: Path) -> tuple[Distributions, Order | None]:
    """The probabilities, and the classifier's class of each class of the tree; None: they are in the tree's order.

    Lists in small row groups are read in place; everything else is rewritten.
    """
    schema = _schema(path)
    if holds_distributions(schema) and (stored := StoredProbabilities(path)).largest_group <= LARGEST_GROUP:
        return stored, classes.order
    lists = [field.name for field in schema if pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
             or pa.types.is_large_list(field.type)]  # fmt: skip
    chosen = [COLUMN] if COLUMN in lists else lists
    if len(chosen) > 1:
        raise DataError(f"{path} has several columns of lists ({', '.join(chosen)}); call the right one {COLUMN}")
    if not chosen:
        names = [name for name in schema.names if name not in ASIDE and not name.startswith("__index_level_")]
        try:
            columns = [names[column] for column in columns_of(names, classes)]
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        return _parquet_as_array(path, folder / "probabilities.npy", columns=columns, order=None), None
    return _parquet_as_array(path, folder / "probabilities.npy", columns=chosen, order=classes.order), None


def _parquet_as_array(path: Path, target: Path, *, columns: list[str], order: Order | None) -> npt.NDArray[Any]:
    """Block by block, so that no more than one is in memory; `order` rearranges the classes of each row."""

    def blocks_of(file: pq.ParquetFile) -> Iterator[npt.NDArray[Any]]:
        batches = file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
        width = begin = 0
        while (batch := _readable(path, lambda: next(batches, None))) is not None:
            block = _block_of(batch.select(columns), path)
            width = width or block.shape[1]
            if block.shape[1] != width:
                raise DataError(f"{path}: row {begin} does not have {width} probabilities")
            # Where the number of classes is wrong, the caller says so.
            yield np.take(block, order, axis=1) if order is not None and width == len(order) else block
            begin += len(block)

    with _readable(path, lambda: pq.ParquetFile(path)) as file:
        if file.metadata.num_rows == 0:
            raise DataError(f"{path} has no rows")
        return _copy(target, blocks_of(file), rows=file.metadata.num_rows)


def _block_of(batch: pa.RecordBatch, path: Path) -> npt.NDArray[Any]:
    first = batch.column(0)
    if batch.num_columns == 1 and pa.types.is_nested(first.type):
        if not _is_number(first.type.value_type):
            raise DataError(f"{path} holds lists of {first.type.value_type}, not of probabilities")
        return distributions_of(first, path)
    if any(column.null_count for column in batch.columns):
        raise DataError(f"{path} has blank probabilities")
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if not _is_number(column.type):
            raise DataError(f"{path}: the column {name!r} of a class holds {column.type}, not probabilities")
    return np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns], axis=1)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def write_blocks(target: Path, given: Iterator[npt.NDArray[Any]], *, rows: int) -> None:
    """Write blocks one after the other as a .npy file.

    They are written, not mapped: a full disk is then an error, and no signal that ends the process.

    Args:
        target: The file.
        given: At least one block; all have the columns of the first, and get its type.
        rows: Of all blocks together.
    """
    first = next(given)
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False, "shape": (rows, first.shape[1])
    }  # fmt: skip
    with target.open("wb") as stream:
        np.lib.format.write_array_header_2_0(stream, header)
        stream.write(np.ascontiguousarray(first).data)
        for block in given:
            stream.write(np.ascontiguousarray(block, dtype=first.dtype).data)


def _copy(target: Path, given: Iterator[npt.NDArray[Any]], *, rows: int) -> npt.NDArray[Any]:
    """Write blocks as a .npy file, and map it into memory.

    Raises:
        DataError: there is no room.
    """
    first = next(given)
    try:
        write_blocks(target, itertools.chain([first], given), rows=rows)
    except OSError as error:
        size = rows * first.shape[1] * first.dtype.itemsize / 1e9
        raise DataError(
            f"cannot write a copy of the probabilities to {target.parent} ({error.strerror}): set TMPDIR to a folder "
            f"with {size:.1f} GB of room"
        ) from error
    return read_array(target)
