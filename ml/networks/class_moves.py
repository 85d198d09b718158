"""Which rows of an old head each class of a new taxonomy is made of, as `class_map.parquet` says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.errors import WarmStartError
from ml.taxonomy import ROOT, Taxonomy

STAYS = frozenset({"same", "renamed"})
"""Changes of a class that leave it what it was."""
COLUMNS = ("old_class_id", "new_class_id", "change", "occurrences")


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassMoves:
    """How the rows of a new head are made of those of an old one.

    Row `new[i]` of the new head takes `shares[i]` of row `old[i]` of the old one; the shares of a class add up to one.
    A class that is not in `new` has no relative in the old tree.
    """

    new: NDArray[np.int64]
    old: NDArray[np.int64]
    shares: NDArray[np.float32]
    kept: NDArray[np.bool_]
    """Whether a class is what it was: its row is the old one, bit for bit. Shape: new classes."""
    mixed: NDArray[np.bool_]
    """Whether chance is mixed in: a part of a class that was split, or a class that only has relatives."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether a class has any row to start from. Shape: new classes."""
        found = np.zeros(len(self.kept), dtype=bool)
        found[self.new] = True
        return found

    def told(self) -> str:
        """The counts for people."""
        kept, mixed, known = int(self.kept.sum()), int(self.mixed.sum()), int(self.known.sum())
        return (
            f"{kept} classes keep their rows, {known - kept - mixed} are merged from several, {mixed} begin as parts "
            f"or relatives of known ones, {len(self.kept) - known} by chance"
        )


def read_moves(class_map: Path, *, old: Taxonomy, new: Taxonomy) -> ClassMoves:
    """The moves that a class map asks for.

    A class that is the `same` or `renamed`, and that no other class has joined, keeps its row. One that several
    classes make up is their mean, weighted by the occurrences that each brought. The parts of a class that was split
    begin as that class. A new class begins as the mean of its genus, or of the lowest taxon above it in the new tree
    that has a class with a row of its own.

    Args:
        class_map: `class_map.parquet` from `old` to `new`.
        old: The tree of the trained network.
        new: The tree of the network to be trained.

    Raises:
        WarmStartError: the file cannot be read, or is the map of other trees.
    """
    rows = _rows(class_map)
    for name, taxonomy, of in (("old_class_id", old, "the trained network"), ("new_class_id", new, "this training")):
        found = {row[name] for row in rows} - {None}
        if found != set(range(taxonomy.class_count)):
            raise WarmStartError(
                f"{class_map} is not the class map of {of}: it names {len(found)} classes in the column {name}, and "
                f"the taxonomy has {taxonomy.class_count}; write the map again"
            )
    sources: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["old_class_id"] is not None and row["new_class_id"] is not None:
            sources.setdefault(row["new_class_id"], []).append(row)
    kept, mixed = (np.zeros(new.class_count, dtype=bool) for _ in range(2))
    links: list[tuple[int, int, float]] = []
    for class_id, origins in sources.items():
        changes = {row["change"] for row in origins}
        kept[class_id] = len(origins) == 1 and changes <= STAYS
        # A class that stays under its key and takes in a part of another one is known well enough without chance.
        mixed[class_id] = "split" in changes and not changes & STAYS
        links += [(class_id, row["old_class_id"], share) for row, share in zip(origins, _shares(origins), strict=True)]
    relatives = _relatives(new, known=np.array(sorted(sources), dtype=np.int64))
    mixed[list(relatives)] = True
    for class_id, siblings in relatives.items():
        for sibling in siblings:
            origins = sources[int(sibling)]
            links += [
                (class_id, row["old_class_id"], share / len(siblings))
                for row, share in zip(origins, _shares(origins), strict=True)
            ]
    links.sort()
    return ClassMoves(
        new=np.array([link[0] for link in links], dtype=np.int64),
        old=np.array([link[1] for link in links], dtype=np.int64),
        shares=np.array([link[2] for link in links], dtype=np.float32),
        kept=kept,
        mixed=mixed,
    )


def _rows(class_map: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pq.read_table(class_map, columns=list(COLUMNS)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise WarmStartError(f"cannot read the class map {class_map}: {error}; write it again") from error
    return rows


def _shares(origins: list[dict[str, Any]]) -> list[float]:
    """What each old class brings.

    Where occurrences are not known any more, the class that keeps its key counts, or all alike.
    """
    brought = [int(row["occurrences"]) for row in origins]
    if not any(brought):
        brought = [int(row["change"] in STAYS) for row in origins]
    if not any(brought):
        brought = [1] * len(origins)
    return [each / sum(brought) for each in brought]


def _relatives(taxonomy: Taxonomy, *, known: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """For each class without a row the classes with one below the lowest taxon above it that has any."""
    found: dict[int, NDArray[np.int64]] = {}
    for class_id in np.setdiff1d(np.arange(taxonomy.class_count), known).tolist():
        node = int(taxonomy.parent[taxonomy.leaves[class_id]])
        while node != ROOT:
            begin, end = np.searchsorted(known, [taxonomy.leaf_begin[node], taxonomy.leaf_end[node]])
            if begin < end:
                found[class_id] = known[begin:end]
                break
            node = int(taxonomy.parent[node])
    return found
