"""What changed between the last taxonomy and this one: earlier trees, the class map, the diff.

The tree itself is built in `pipeline.dataset.taxonomy`. Earlier trees are kept under `<data_root>/taxonomies/<hash>/`.
"""

import shutil
from pathlib import Path

import pyarrow as pa
from pydantic import TypeAdapter

from ml.spec import problem_of
from pipeline.config.settings import Settings
from pipeline.dataset.crosswalk import read_crosswalk
from pipeline.dataset.manifest import content_hash
from pipeline.errors import TableError
from pipeline.files import atomic_path, write_json
from pipeline.paths import Paths
from pipeline.query import to_parquet
from pipeline.tables import CONTRACTS

_COUNTS = ("photos",)
"""Columns that change as the data grow although the tree stays the same."""
_OBSERVATIONS = pa.schema([(name, pa.string()) for name in ("occurrence_key", "checklist_key", "species_key")])


def tree_hash(taxonomy: Path) -> str:
    """A hash of the tree: nodes, names, keys and class ids, without the numbers of photographs.

    Raises:
        TableError: the file is missing.
    """
    columns = [name for name in CONTRACTS["taxonomy"].schema.names if name not in _COUNTS]
    return content_hash(taxonomy, columns=columns)


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
    taxonomy, clean = paths.table("taxonomy"), paths.table("clean_occurrences")
    digest = tree_hash(taxonomy)
    _keep(paths, digest)
    trees = _read_order(paths.taxonomies_order)
    if not trees or trees[-1] != digest:
        trees.append(digest)
        write_json(paths.taxonomies_order, trees)
    previous = last_tree(paths)
    inputs = {
        "old_taxonomy": _old(paths, previous, "taxonomy", schema=CONTRACTS["taxonomy"].schema),
        "old_observations": _old(paths, previous, "observations", schema=_OBSERVATIONS),
        "taxonomy": taxonomy,
        "clean_occurrences": clean,
        "crosswalk": read_crosswalk(settings.taxonomy.crosswalk),
    }
    class_map = to_parquet("class_map", inputs=inputs, output=paths.table("class_map"))
    diff = to_parquet(
        "taxonomy_diff",
        inputs={"old_taxonomy": inputs["old_taxonomy"], "taxonomy": taxonomy, "class_map": class_map},
        output=paths.table("taxonomy_diff"),
    )
    # A row per occurrence takes most of the space; trees are small and stay.
    for tree in set(trees) - {digest, previous}:
        (paths.kept_taxonomy(tree) / "observations.parquet").unlink(missing_ok=True)
    return diff


def last_tree(paths: Paths) -> str | None:
    """The hash of the tree that the present one is compared with: the last other one, None without any.

    Raises:
        TableError: the list of earlier trees is damaged.
    """
    trees = _read_order(paths.taxonomies_order)
    return next((tree for tree in reversed(trees) if tree != trees[-1]), None)


def _keep(paths: Paths, digest: str) -> None:
    """Copy the tree, and what each occurrence is called, under the hash of the tree."""
    folder = paths.kept_taxonomy(digest)
    with atomic_path(folder / "taxonomy.parquet") as partial:
        shutil.copyfile(paths.table("taxonomy"), partial)
    to_parquet(
        "species_of_occurrences",
        inputs={"clean_occurrences": paths.table("clean_occurrences")},
        output=folder / "observations.parquet",
    )


def _read_order(path: Path) -> list[str]:
    """Hashes of the trees in the order in which they came; one may come again."""
    if not path.exists():
        return []
    try:
        return TypeAdapter(list[str]).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        problem = f"cannot read {path}: {problem_of(error)}"
        raise TableError(f"{problem}; delete {path.parent} to begin a history anew") from error


def _old(paths: Paths, tree: str | None, name: str, *, schema: pa.Schema) -> pa.Table | Path:
    """A table kept with an earlier tree; empty where there is none, or where it was too long ago to be kept."""
    path = None if tree is None else paths.kept_taxonomy(tree) / f"{name}.parquet"
    return path if path is not None and path.exists() else schema.empty_table()
