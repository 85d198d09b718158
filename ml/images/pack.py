"""Photographs on disk: the pack of JPEGs, and the tables that say which are learnt and which are validated on."""

import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.errors import DataError


class Place(NamedTuple):
    """Where the bytes of a photograph are."""

    photo_id: str
    file: str
    """The pack's, in the folder of its index."""
    offset: int
    length: int


class PackFiles:
    """The files of a pack, opened when they are first read from. Sent to another process it opens them there."""

    def __init__(self, folder: Path) -> None:
        """Read files in `folder`."""
        self.folder = folder
        self._descriptors: dict[str, int] = {}
        self._opening = Lock()
        weakref.finalize(self, _close, self._descriptors)

    def __reduce__(self) -> tuple[type["PackFiles"], tuple[Path]]:
        """Only the folder travels."""
        return PackFiles, (self.folder,)

    def read(self, place: Place) -> bytes:
        """The bytes of the photograph at `place`; safe to call from several threads.

        The file is read and not mapped: where a mapped file loses bytes while it is read, the process is killed.

        Raises:
            DataError: the pack is missing or shorter than the index says.
        """
        path = self.folder / place.file
        try:
            content = os.pread(self._descriptor(path), place.length, place.offset)
        except OSError as error:
            raise DataError(f"cannot read the pack {path}: {error}") from error
        if len(content) < place.length:
            raise DataError(f"{path} ends before photograph {place.photo_id} does; materialise training_photos again")
        return content

    def _descriptor(self, path: Path) -> int:
        with self._opening:
            if path.name not in self._descriptors:
                self._descriptors[path.name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return self._descriptors[path.name]


def _close(descriptors: dict[str, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


class Pack:
    """The training photographs: JPEGs one after another in `pack-*.bin`, found by `index.parquet`."""

    def __init__(self, index: Path) -> None:
        """Open the pack of `index`.

        Raises:
            DataError: the index is missing or damaged.
        """
        table = _table(index, columns=["photo_id", "pack", "offset", "length"])
        self.files = PackFiles(index.parent)
        self.photo_ids: list[str] = table["photo_id"].to_pylist()
        self._packs: list[str] = table["pack"].to_pylist()
        self._offsets = table["offset"].to_numpy()
        self._lengths = table["length"].to_numpy()

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Rows of the index by photo_id."""
        return {photo_id: row for row, photo_id in enumerate(self.photo_ids)}

    def place(self, row: int) -> Place:
        """Where the photograph in `row` of the index is."""
        return Place(self.photo_ids[row], self._packs[row], int(self._offsets[row]), int(self._lengths[row]))

    def jpeg(self, row: int) -> bytes:
        """The bytes of the photograph in `row` of the index; see `PackFiles.read`.

        Raises:
            DataError: the pack is missing or shorter than the index says.
        """
        return self.files.read(self.place(row))


@dataclass(frozen=True, kw_only=True)
class Photos:
    """One side of the split, in a fixed order (by photo_id)."""

    photo_ids: list[str]
    labels: NDArray[np.int64]
    """Class ids."""
    halves: list[str | None]
    rows: NDArray[np.int64]
    """Rows of the pack's index."""

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.photo_ids)

    def take(self, keep: NDArray[np.intp] | NDArray[np.int64]) -> "Photos":
        """The photographs at the positions `keep`."""
        return Photos(
            photo_ids=[self.photo_ids[position] for position in keep],
            labels=self.labels[keep],
            halves=[self.halves[position] for position in keep],
            rows=self.rows[keep],
        )

    def relabelled(self, labels: NDArray[np.int32]) -> "Photos":
        """The same photographs, with class `labels[c]` in the place of class c."""
        return replace(self, labels=labels[self.labels].astype(np.int64))

    def joined(self, other: "Photos") -> "Photos":
        """These photographs, then those of `other`."""
        return Photos(
            photo_ids=self.photo_ids + other.photo_ids,
            labels=np.concatenate([self.labels, other.labels]),
            halves=self.halves + other.halves,
            rows=np.concatenate([self.rows, other.rows]),
        )


def read_split(split: Path, *, pack: Pack, side: str) -> Photos:
    """The photographs of `side` (`train` or `validation`) of `split.parquet`.

    Raises:
        DataError: the side is empty, or a photograph is not in the pack.
    """
    table = _table(split, columns=["photo_id", "class_id", "split", "half"])
    table = table.filter(pc.equal(table["split"], side)).sort_by("photo_id")
    photo_ids: list[str] = table["photo_id"].to_pylist()
    if not photo_ids:
        raise DataError(f"{split} has no {side} photographs")
    return Photos(
        photo_ids=photo_ids,
        labels=table["class_id"].to_numpy().astype(np.int64),
        halves=table["half"].to_pylist(),
        rows=_rows_in(pack, photo_ids, table=split),
    )


def read_rare(rare: Path, *, pack: Pack, taxa: Mapping[int, int]) -> Photos:
    """The photographs of `genus_photos.parquet`: species too rare to be classes, for stages of higher ranks.

    Args:
        rare: The table.
        pack: Where the bytes are.
        taxa: The class of each genus, by its node id.

    Raises:
        DataError: a photograph is not in the pack, or its genus is not among `taxa`.
    """
    table = _table(rare, columns=["photo_id", "node_id"]).sort_by("photo_id")
    photo_ids, nodes = table["photo_id"].to_pylist(), table["node_id"].to_pylist()
    unknown = [node for node in nodes if node not in taxa]
    if unknown:
        raise DataError(f"{rare} names node {unknown[0]}, which is no genus of the taxonomy; materialise it again")
    return Photos(
        photo_ids=photo_ids,
        labels=np.array([taxa[node] for node in nodes], dtype=np.int64),
        halves=[None] * len(photo_ids),
        rows=_rows_in(pack, photo_ids, table=rare),
    )


def _rows_in(pack: Pack, photo_ids: Sequence[str], *, table: Path) -> NDArray[np.int64]:
    missing = [photo_id for photo_id in photo_ids if photo_id not in pack.row_of]
    if missing:
        raise DataError(
            f"{len(missing)} photographs of {table} are not in the pack, {missing[0]} among them; "
            "materialise training_photos again"
        )
    return np.array([pack.row_of[photo_id] for photo_id in photo_ids], dtype=np.int64)


def _table(path: Path, *, columns: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {path}: {error}") from error
