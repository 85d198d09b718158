"""Small taxonomies by name, and class maps between them, for networks that go on under another tree."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec import RANKS
from ml.taxonomy import Taxonomy

SCHEMA = pa.schema(
    [("old_class_id", pa.int64()), ("new_class_id", pa.int64()), ("change", pa.string()), ("occurrences", pa.int64())]
)
Link = tuple[int | None, int | None, str, int]
"""Old class, new class, change, occurrences."""


def tree(*lineages: str) -> Taxonomy:
    """The taxonomy of `tree_rows`."""
    return Taxonomy.of_rows(tree_rows(*lineages))


def tree_rows(*lineages: str) -> list[dict[str, Any]]:
    """Nodes of seven ranks from lines `family genus species`, in preorder; the ranks above have one taxon each."""
    nodes: dict[tuple[str, ...], dict[str, Any]] = {}
    for class_id, line in enumerate(lineages):
        path = ("root", "Animalia", "Chordata", "Aves", "Passeriformes", *line.split())
        for depth in range(len(path)):
            own = nodes.setdefault(
                path[: depth + 1],
                {
                    "node_id": len(nodes), "depth": depth, "rank": ("root", *RANKS)[depth], "name": path[depth],
                    "parent_id": nodes[path[:depth]]["node_id"] if depth else None, "taxon_key": path[depth],
                    "placeholder": False, "class_id": class_id if depth == len(RANKS) else None,
                    "leaf_begin": class_id,
                },
            )  # fmt: skip
            own["leaf_end"] = class_id + 1
    return list(nodes.values())


def written(folder: Path, links: Sequence[Link]) -> Path:
    """A `class_map.parquet` of these links."""
    path = folder / "class_map.parquet"
    rows = [dict(zip(SCHEMA.names, link, strict=True)) for link in links]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path
