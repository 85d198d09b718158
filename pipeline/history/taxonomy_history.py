"""What changed between the last taxonomy and this one: the class map and the diff.

The tree itself is built in `pipeline.dataset.taxonomy`; earlier ones are kept by `pipeline.history.class_maps`.
"""

from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.files import write_json
from pipeline.history.class_maps import class_map_inputs, keep_present_tree, last_other, read_order
from pipeline.paths import Paths
from pipeline.query import to_parquet


def build_taxonomy_history(paths: Paths, settings: Settings) -> Path:
    """Keep the present tree, and write `class_map.parquet` and `taxonomy_diff.parquet` against the last other one.

    The last taxonomy is the most recent one with another hash: run again on the same snapshot, or on one that only adds
    photographs, the comparison stays as it was. Without an earlier tree, every taxon is new.

    Args:
        paths: The paths of the scope.
        settings: `taxonomy.crosswalk` leads from keys of one checklist to those of another.

    Returns:
        The path of `taxonomy_diff.parquet`.

    Raises:
        TableError: `taxonomy` or `clean_occurrences` is missing, or the list of earlier trees is damaged.
    """
    digest = keep_present_tree(paths)
    trees = read_order(paths.taxonomies_order)
    if not trees or trees[-1] != digest:
        trees.append(digest)
        write_json(paths.taxonomies_order, trees)
    inputs = class_map_inputs(paths, settings, tree=last_other(trees))
    class_map = to_parquet("class_map", inputs=inputs, output=paths.table("class_map"))
    return to_parquet(
        "taxonomy_diff",
        inputs={"old_taxonomy": inputs["old_taxonomy"], "taxonomy": inputs["taxonomy"], "class_map": class_map},
        output=paths.table("taxonomy_diff"),
    )


def last_tree(paths: Paths) -> str | None:
    """The hash of the tree that the present one is compared with: the last other one, None without any.

    Raises:
        TableError: the list of earlier trees is damaged.
    """
    return last_other(read_order(paths.taxonomies_order))
