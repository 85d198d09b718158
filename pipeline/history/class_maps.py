"""Where the classes of an earlier tree went: kept trees, and the class map from any of them to the present one.

A model version that is gone on from may be several trees old. Kept is each tree, and what each occurrence was called
under it, below `<data_root>/taxonomies/<hash>/`.
"""

import shutil
from collections.abc import Collection
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

OBSERVATIONS = pa.schema([(name, pa.string()) for name in ("occurrence_key", "checklist_key", "species_key")])
CONTENTS_FILE = "contents.json"
_COUNTS = ("photos",)
"""Columns that change as the data grow although the tree stays the same."""


def tree_hash(taxonomy: Path) -> str:
    """A hash of the tree: nodes, names, keys and class ids, without the numbers of photographs.

    Raises:
        TableError: the file is missing.
    """
    columns = [name for name in CONTRACTS["taxonomy"].schema.names if name not in _COUNTS]
    return content_hash(taxonomy, columns=columns)


def keep_present_tree(paths: Paths) -> str:
    """Keep the present tree and what each occurrence is called under it, and return its hash.

    Raises:
        TableError: `taxonomy` or `clean_occurrences` is missing.
    """
    taxonomy = paths.table("taxonomy")
    tree = kept_tree(paths, taxonomy)
    _copy(paths, taxonomy, tree=tree)
    to_parquet(
        "species_of_occurrences",
        inputs={"clean_occurrences": paths.table("clean_occurrences")},
        output=observations_of(paths, tree),
    )
    return tree


def kept_tree(paths: Paths, taxonomy: Path) -> str:
    """The hash of the tree in `taxonomy`, such as that of a model version; kept from now on if it was not.

    The `taxonomy_hash` of a manifest, which is a tag of model versions, counts photographs, too, and so names no tree.
    It is noted beside the tree, so that `forgettable` finds the tree of a version by its tag.

    Raises:
        TableError: the file is missing.
    """
    tree, content = tree_hash(taxonomy), content_hash(taxonomy)
    if not (paths.kept_taxonomy(tree) / "taxonomy.parquet").exists():
        _copy(paths, taxonomy, tree=tree)
    contents = _contents(paths, tree)
    if content not in contents:
        write_json(paths.kept_taxonomy(tree) / CONTENTS_FILE, [*contents, content])
    return tree


def observations_of(paths: Paths, tree: str) -> Path:
    """What each occurrence was called under `tree`: occurrence_key, checklist_key, species_key. It may be gone."""
    return paths.kept_taxonomy(tree) / "observations.parquet"


def class_map_inputs(paths: Paths, settings: Settings, *, tree: str | None) -> dict[str, Path | pa.Table]:
    """The tables that the class map from `tree` to the present tree is made of; without a tree every class is new.

    Raises:
        TableError: `tree` was never kept, or the crosswalk cannot be read.
    """
    schema = CONTRACTS["taxonomy"].schema
    observations = None if tree is None else observations_of(paths, tree)
    return {
        "old_taxonomy": schema.empty_table() if tree is None else _tree(paths, tree),
        "old_observations": observations if observations and observations.exists() else OBSERVATIONS.empty_table(),
        "taxonomy": paths.table("taxonomy"),
        "clean_occurrences": paths.table("clean_occurrences"),
        "crosswalk": read_crosswalk(settings.taxonomy.crosswalk),
    }


def build_class_map(paths: Paths, settings: Settings, *, tree: str, output: Path) -> Path:
    """Write where each class of `tree` is in the present tree, with the columns of `class_map`.

    Where it is not known any more what each occurrence was called under `tree` (`observations_of`), classes are found
    again by their keys, by synonyms and by the crosswalk alone: merged ones mostly, split and renamed ones hardly.

    Args:
        paths: The paths of the scope.
        settings: `taxonomy.crosswalk` leads from keys of one checklist to those of another.
        tree: The hash of a kept tree (`kept_tree`).
        output: The file to write.

    Returns:
        `output`.

    Raises:
        TableError: `tree` was never kept; `taxonomy` or `clean_occurrences` is missing.
    """
    return to_parquet("class_map", inputs=class_map_inputs(paths, settings, tree=tree), output=output)


def forgettable(paths: Paths, *, named: Collection[str]) -> list[Path]:
    """Observations of earlier trees that no comparison needs: a row per occurrence takes most of a tree's space.

    Those of the present tree and of the last other one stay, and those of trees that a model version names.

    Args:
        paths: The paths of the scope.
        named: The tags `naturewatch.taxonomy_hash` of the model versions that stay.

    Raises:
        TableError: the list of earlier trees is damaged.
    """
    trees = read_order(paths.taxonomies_order)
    needed = {*trees[-1:], last_other(trees)}
    return [
        file
        for tree in dict.fromkeys(trees)
        if tree not in needed
        and not set(named) & set(_contents(paths, tree))
        and (file := observations_of(paths, tree)).exists()
    ]


def last_other(trees: list[str]) -> str | None:
    """The last of some trees that is another one than the very last; None without any."""
    return next((tree for tree in reversed(trees) if tree != trees[-1]), None)


def read_order(path: Path) -> list[str]:
    """Hashes of the trees in the order in which they came; one may come again.

    Raises:
        TableError: the file is damaged.
    """
    if not path.exists():
        return []
    try:
        return TypeAdapter(list[str]).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        problem = f"cannot read {path}: {problem_of(error)}"
        raise TableError(f"{problem}; delete {path.parent} to begin a history anew") from error


def _tree(paths: Paths, tree: str) -> Path:
    file = paths.kept_taxonomy(tree) / "taxonomy.parquet"
    if not file.exists():
        raise TableError(f"the tree {tree} was not kept: {file} is missing; keep it with the taxonomy of its model")
    return file


def _copy(paths: Paths, taxonomy: Path, *, tree: str) -> None:
    with atomic_path(paths.kept_taxonomy(tree) / "taxonomy.parquet") as partial:
        shutil.copyfile(taxonomy, partial)


def _contents(paths: Paths, tree: str) -> list[str]:
    """The `taxonomy_hash` of each manifest that had this tree, as far as they were noted."""
    return read_order(paths.kept_taxonomy(tree) / CONTENTS_FILE)
