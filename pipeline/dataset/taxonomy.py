"""The tree of the kept species as a table; `ml.taxonomy` reads it."""

from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.paths import Paths
from pipeline.query import count, to_parquet


def build_taxonomy(paths: Paths, settings: Settings) -> Path:
    """Write `taxonomy.parquet`: one root, seven ranks, preorder numbers, the class range below each node.

    A rank that a species lacks (bony fishes have no class on GBIF) becomes a placeholder node named after the nearest
    known ancestor, `Chordata (no class)`, so that every species has the same depth. In the mode `drop` of
    `taxonomy.unusual` such species were removed earlier. A node is identified by its path of names and keys.

    Args:
        paths: The paths of the scope.
        settings: Named in the error; the tree depends on `species.parquet` only.

    Returns:
        The path of `taxonomy.parquet`.

    Raises:
        TableError: `species.parquet` is missing or empty.
    """
    species = paths.table("species")
    if species.exists() and count(species) == 0:
        raise TableError(
            f"{species} has no species: none has {settings.split.min_images} usable photographs; widen the source "
            f"or lower split.min_images (rejections.parquet says what was removed)"
        )
    return to_parquet("taxonomy", inputs={"species": species}, output=paths.table("taxonomy"))
