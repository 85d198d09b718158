"""The taxonomy as arrays: one row per node in preorder, species as contiguous class ids.

Here are reading and validating `taxonomy.parquet`, lineages, and finding a taxon. Probabilities on the tree belong to
`ml.specificity`.
"""

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.errors import MlError

Integers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

ROOT = 0
"""The synthetic node above the kingdoms; answering with it is abstaining."""
_COLUMNS = (
    "node_id", "parent_id", "depth", "rank", "name", "taxon_key", "placeholder", "class_id", "leaf_begin", "leaf_end",
)  # fmt: skip
_TYPES = {
    **dict.fromkeys(("node_id", "parent_id", "depth", "class_id", "leaf_begin", "leaf_end"), pa.int32()),
    "placeholder": pa.bool_(),
}


class TaxonomyError(MlError, ValueError):
    """A taxonomy table is missing, lacks columns, or is not a tree in preorder."""


class TaxonError(MlError, LookupError):
    """A taxon is not in the taxonomy, or its name is that of several."""


class UnknownTaxonError(TaxonError):
    """A taxon is not in the taxonomy."""


class Cuts(NamedTuple):
    """Where the nodes of one depth lie among cumulative sums over the classes; see `Taxonomy.cuts`."""

    nodes: Integers
    """Node ids of this depth, in preorder."""
    positions: npt.NDArray[np.intp]
    """The class boundaries of this depth, as positions among those of the next greater depth."""
    segments: npt.NDArray[np.intp]
    """Each node's place among the segments between this depth's boundaries."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Taxonomy:
    """A tree whose nodes are numbered in preorder and whose leaves are numbered from left to right.

    Every array has one entry per node. `parent` and `class_id` hold -1 where there is none.
    """

    parent: Integers
    depth: Integers
    """Root 0, kingdom 1, ... species 7."""
    rank: tuple[str, ...]
    name: tuple[str, ...]
    taxon_key: tuple[str | None, ...]
    placeholder: npt.NDArray[np.bool_]
    """A node that fills a rank that GBIF leaves blank."""
    class_id: Integers
    leaf_begin: Integers
    leaf_end: Integers
    """With `leaf_begin` the half-open range of class ids at or below the node."""

    def __post_init__(self) -> None:
        """Refuse anything but a tree in preorder (TaxonomyError)."""
        _validate(self)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read `taxonomy.parquet`.

        Args:
            path: A table with the columns of the data contract; rows in any order.

        Raises:
            TaxonomyError: the file cannot be read, lacks a column, or does not hold a tree in preorder.
        """
        try:
            # `read_table` would load pandas where it is installed.
            table = pq.ParquetFile(path).read()
        except (OSError, pa.ArrowException) as error:
            raise TaxonomyError(f"cannot read the taxonomy {path}: {error}") from error
        missing = [name for name in _COLUMNS if name not in table.column_names]
        if missing:
            raise TaxonomyError(f"{path} is not a taxonomy table: it lacks the columns {', '.join(missing)}")
        columns = {name: _as(_TYPES.get(name), table[name], name=name, path=path) for name in _COLUMNS}
        return cls.of_rows(pa.table(columns).sort_by("node_id").to_pylist())

    @classmethod
    def of_rows(cls, rows: Sequence[dict[str, Any]]) -> Self:
        """Build a taxonomy from rows in the order of `node_id`, keyed as the table's columns.

        Raises:
            TaxonomyError: the rows are not a tree in preorder.
        """
        if [row["node_id"] for row in rows] != list(range(len(rows))):
            raise TaxonomyError("node ids are not 0, 1, 2, ...; write the taxonomy table again")
        absent = [name for name in ("depth", "leaf_begin", "leaf_end") if any(row[name] is None for row in rows)]
        if absent:
            raise TaxonomyError(f"the taxonomy has blank values in {', '.join(absent)}; write the table again")

        def numbers(column: str) -> Integers:
            return np.array([-1 if row[column] is None else row[column] for row in rows], dtype=np.int32)

        return cls(
            parent=numbers("parent_id"),
            depth=numbers("depth"),
            rank=tuple(str(row["rank"]) for row in rows),
            name=tuple("" if row["name"] is None else str(row["name"]) for row in rows),
            taxon_key=tuple(None if row["taxon_key"] is None else str(row["taxon_key"]) for row in rows),
            placeholder=np.array([bool(row["placeholder"]) for row in rows]),
            class_id=numbers("class_id"),
            leaf_begin=numbers("leaf_begin"),
            leaf_end=numbers("leaf_end"),
        )

    @property
    def node_count(self) -> int:
        """Nodes, the root included."""
        return len(self.parent)

    @property
    def class_count(self) -> int:
        """Leaves: what a network has one output for."""
        return int(self.leaf_end[ROOT])

    @property
    def max_depth(self) -> int:
        """Depth of the deepest node: 7 for species."""
        return int(self.depth.max())

    @cached_property
    def leaves(self) -> Integers:
        """Node id of each class. Shape: classes."""
        return np.flatnonzero(self.class_id >= 0).astype(np.int32)

    @cached_property
    def ancestors(self) -> Integers:
        """Node id of each class's ancestor at each depth. Shape: classes x (max_depth + 1).

        Beyond the depth of a shallow leaf the leaf itself is repeated.
        """
        table = np.empty((self.class_count, self.max_depth + 1), dtype=np.int32)
        for class_id, leaf in enumerate(self.leaves):
            lineage = self.lineage(int(leaf))
            table[class_id, : len(lineage)] = lineage
            table[class_id, len(lineage) :] = leaf
        return table

    def taxa_at(self, depth: int) -> Integers:
        """Node ids of the classes' ancestors at `depth`, in preorder: what a network of that rank has outputs for."""
        return np.unique(self.ancestors[:, depth])

    def labels_at(self, depth: int) -> Integers:
        """For each class the position of its ancestor within `taxa_at(depth)`. Shape: classes."""
        return np.searchsorted(self.taxa_at(depth), self.ancestors[:, depth]).astype(np.int32)

    def lineages_at(self, depth: int) -> Integers:
        """Node ids from the root to each of `taxa_at(depth)`. Shape: taxa x (depth + 1)."""
        _, first = np.unique(self.ancestors[:, depth], return_index=True)
        return self.ancestors[first, : depth + 1]

    @cached_property
    def levels(self) -> tuple[Integers, ...]:
        """Node ids at each depth, in preorder."""
        return tuple(np.flatnonzero(self.depth == depth).astype(np.int32) for depth in range(self.max_depth + 1))

    @cached_property
    def parent_positions(self) -> tuple[npt.NDArray[np.intp], ...]:
        """For each depth below the root, from 1 on, the place of each node's parent within the level above."""
        return tuple(np.searchsorted(above, self.parent[level]) for above, level in itertools.pairwise(self.levels))

    @cached_property
    def cuts(self) -> tuple[Cuts, ...]:
        """For each depth, how to take its nodes' sums from the sums of the next greater depth.

        The boundaries of a depth are the ends of all leaf ranges at that depth or above: they nest, so each depth picks
        from the one below it; the greatest depth picks from all classes.
        """
        found: list[Cuts] = []
        finer = np.arange(self.class_count + 1, dtype=np.int32)
        for depth in range(self.max_depth, -1, -1):
            shallow = self.depth <= depth
            edges = np.union1d(self.leaf_begin[shallow], self.leaf_end[shallow])
            level = self.levels[depth]
            segments = np.searchsorted(edges, self.leaf_begin[level])
            found.append(Cuts(level, np.searchsorted(finer, edges), segments))
            finer = edges
        return tuple(reversed(found))

    def lineage(self, node: int) -> tuple[int, ...]:
        """Node ids from the root down to `node`, both included."""
        path = [node]
        while path[-1] != ROOT:
            path.append(int(self.parent[path[-1]]))
        return tuple(reversed(path))

    def children(self, node: int) -> tuple[int, ...]:
        """Node ids directly below `node`."""
        return tuple(int(child) for child in np.flatnonzero(self.parent == node))

    def contains(self, node: npt.ArrayLike, class_id: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether `node` is the leaf of `class_id` or an ancestor of it, elementwise."""
        nodes, classes = np.asarray(node), np.asarray(class_id)
        return np.asarray((self.leaf_begin[nodes] <= classes) & (classes < self.leaf_end[nodes]), dtype=np.bool_)

    def describe(self, node: int) -> str:
        """The lineage of `node` for people: `Animalia > Chordata > Aves`."""
        return " > ".join(self.name[step] for step in self.lineage(node)[1:]) or self.name[ROOT]

    def find(self, text: str) -> int:
        """The node of a taxon key, a name, or a name qualified by taxa above it (`Plantae > Morus`).

        Args:
            text: Names are compared without regard to case; a key is compared as it is.

        Raises:
            TaxonError: nothing fits (similar names are offered), or several do (their lineages are listed).
        """
        by_key = [node for node, key in enumerate(self.taxon_key) if key == text.strip()]
        found = by_key or self._by_name([part.strip().casefold() for part in text.split(">")])
        if len(found) == 1:
            return found[0]
        if not found:
            names = {name.casefold(): name for name in self.name}
            similar = difflib.get_close_matches(text.rpartition(">")[2].strip().casefold(), names, n=3)
            hint = f"; did you mean {' or '.join(names[name] for name in similar)}?" if similar else ""
            raise UnknownTaxonError(f"the model knows no taxon {text!r}{hint}")
        homonyms = "; ".join(f"{self.rank[node]} {self.describe(node)} (key {self.taxon_key[node]})" for node in found)
        raise TaxonError(f"{text!r} stands for several taxa, give the lineage or the key of one: {homonyms}")

    def _by_name(self, parts: list[str]) -> list[int]:
        *above, name = parts
        return [
            node
            for node, candidate in enumerate(self.name)
            if candidate.casefold() == name
            and set(above) <= {self.name[step].casefold() for step in self.lineage(node)[:-1]}
        ]


def _as(kind: pa.DataType | None, column: pa.ChunkedArray, *, name: str, path: str | Path) -> pa.ChunkedArray:
    """A column in the type that it should have; pandas writes whole numbers with blanks as decimals with NaN."""
    if kind is None:
        return column
    try:
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        return column.cast(kind)
    except pa.ArrowException as error:
        raise TaxonomyError(f"{path}: the column {name} of the taxonomy does not hold {kind}: {error}") from error


def _validate(taxonomy: Taxonomy) -> None:
    """Refuse anything but a tree in preorder whose leaf ranges nest.

    Raises:
        TaxonomyError: names the first node that breaks a rule, and the rule.
    """
    parent, depth = taxonomy.parent, taxonomy.depth
    if len(parent) < 2 or parent[ROOT] != -1 or depth[ROOT] != 0:
        raise TaxonomyError("a taxonomy needs a root at depth 0 without a parent, and a taxon below it")
    nodes = np.arange(len(parent))
    below = nodes[1:]
    _refuse(taxonomy, (parent[1:] < 0) | (parent[1:] >= below), below, "its parent is missing or comes after it")
    _refuse(taxonomy, depth[1:] != depth[parent[1:]] + 1, below, "its depth is not its parent's plus one")
    # In preorder a node follows its parent, or a subtree that ended; then its parent is on the previous lineage.
    previous = below - 1
    ancestor = previous.copy()
    while (rising := depth[ancestor] >= depth[below]).any():
        ancestor = np.where(rising, parent[ancestor], ancestor)
    _refuse(taxonomy, ancestor != parent[1:], below, "it is not in preorder")
    inner = np.zeros(len(parent), dtype=bool)
    inner[parent[1:]] = True
    _refuse(taxonomy, inner == (taxonomy.class_id >= 0), nodes, "class ids belong to leaves, and each leaf has one")
    leaves = nodes[~inner]
    _refuse(taxonomy, taxonomy.class_id[leaves] != np.arange(len(leaves)), leaves, "class ids do not follow preorder")
    # Leaves before a node, and leaves before the end of its subtree, are its range.
    before = np.concatenate([[0], np.cumsum(~inner)])
    sizes = np.ones(len(parent), dtype=np.int64)
    for level in range(int(depth.max()), 0, -1):
        at_level = np.flatnonzero(depth == level)
        np.add.at(sizes, parent[at_level], sizes[at_level])
    wrong = (taxonomy.leaf_begin != before[nodes]) | (taxonomy.leaf_end != before[nodes + sizes])
    _refuse(taxonomy, wrong, nodes, "its leaf range is not the classes below it")


def _refuse(taxonomy: Taxonomy, wrong: npt.NDArray[np.bool_], nodes: npt.NDArray[np.int64], rule: str) -> None:
    if wrong.any():
        node = int(nodes[np.flatnonzero(wrong)[0]])
        raise TaxonomyError(f"node {node} ({taxonomy.name[node]}) of the taxonomy: {rule}; write the table again")
