"""Trees and probability rows for the tests of taxonomy, specificity, calibration and serving."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec import RANKS
from ml.operating import Floats
from ml.taxonomy import Taxonomy

Row = dict[str, Any]
Nested = dict[str, Any]
"""Names of nodes to their children; a leaf's value is an empty dictionary."""


def rows_of(tree: Nested) -> list[Row]:
    """The rows of `taxonomy.parquet` for the taxa of `tree`, which hang below a root."""
    rows: list[Row] = []
    classes = 0

    def visit(name: str, below: Nested, parent: int | None, depth: int) -> None:
        nonlocal classes
        node, begin = len(rows), classes
        row: Row = {
            "node_id": node,
            "parent_id": parent,
            "depth": depth,
            "rank": "root" if parent is None else RANKS[min(depth, len(RANKS)) - 1],
            "name": name,
            "taxon_key": None if parent is None else f"K{node}",
            "checklist_key": "checklist",
            "placeholder": False,
            "class_id": None if below else begin,
            "photos": 10,
        }
        rows.append(row)
        if not below:
            classes += 1
        for child, grandchildren in below.items():
            visit(child, grandchildren, node, depth + 1)
        row["leaf_begin"], row["leaf_end"] = begin, classes

    visit("Life", tree, None, 0)
    return rows


def write_taxonomy(path: Path, rows: list[Row]) -> Path:
    """Write rows as `taxonomy.parquet`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def random_tree(generator: np.random.Generator, *, depth: int = 7, leaves: int = 30, uneven: bool = False) -> Taxonomy:
    """A tree with many single-child chains; `uneven` lets leaves end above the last depth."""
    tree: Nested = {}
    for _ in range(leaves):
        level, stop = tree, depth if not uneven else int(generator.integers(2, depth + 1))
        for step in range(stop):
            name = f"{step}-{generator.integers(1 + step // 2)}" if step < stop - 1 else f"leaf-{generator.random()}"
            level = level.setdefault(name, {})
    return Taxonomy.of_rows(rows_of(tree))


def random_rows(generator: np.random.Generator, *, photos: int, classes: int, sharpness: float = 3.0) -> Floats:
    """Softmax rows, from flat to certain."""
    logits = generator.normal(size=(photos, classes)) * generator.uniform(0, sharpness * 2, size=(photos, 1))
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows: Floats = exponential / exponential.sum(axis=1, keepdims=True)
    return rows


BIRDS: Nested = {
    "Animalia": {
        "Chordata": {
            "Aves": {
                "Psittaciformes": {
                    "Strigopidae": {"Nestor": {"Nestor notabilis": {}, "Nestor meridionalis": {}}},
                },
                "Suliformes": {"Sulidae": {"Morus": {"Morus serrator": {}}}},
            },
        },
    },
    "Plantae": {
        "Tracheophyta": {"Magnoliopsida": {"Rosales": {"Moraceae": {"Morus": {"Morus alba": {}}}}}},
    },
}
"""Two parrots, a gannet and a mulberry; the genus Morus is a homonym."""
