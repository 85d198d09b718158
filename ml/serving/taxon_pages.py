"""What a version's taxonomy says of taxa beside the tree: their pages at GBIF, and common names if it has any.

GBIF shows a taxon of the Catalogue of Life XR, whose keys have letters and digits, at `gbif.org/taxon/KEY`, and one of
its older backbone, whose keys are numbers, at `gbif.org/species/KEY`. Keys of other checklists, and those that the
embedded replica invents, lead nowhere.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.taxonomy import Taxonomy

PAGES: Final[Mapping[str, str]] = {
    "7ddf754f-d193-4cc9-b351-99906754a03b": "https://www.gbif.org/taxon/",
    "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c": "https://www.gbif.org/species/",
}
"""By the key of the checklist: Catalogue of Life XR, and GBIF's backbone."""
TEST_PREFIX: Final = "10.21373/"
"""The DOI prefix of GBIF's test system, which the replica uses, too: keys of such a dataset lead nowhere."""


def gbif_pages(path: Path, taxonomy: Taxonomy, *, dataset: str | None) -> dict[int, str]:
    """The address of each node's page at GBIF, by node, where it has one.

    Args:
        path: `taxonomy.parquet`.
        taxonomy: What it holds.
        dataset: The artifact `dataset`, which says where the data came from, if the version has it.

    Raises:
        DataError: one of the files is damaged.
    """
    if _invented(dataset):
        return {}
    columns = zip(_column(path, "checklist_key"), taxonomy.taxon_key, taxonomy.placeholder.tolist(), strict=False)
    return {
        node: PAGES[checklist] + quote(key, safe="")
        for node, (checklist, key, placeholder) in enumerate(columns)
        if key and checklist in PAGES and not placeholder
    }


def own_names(path: Path) -> dict[int, str]:
    """The common names that the taxonomy itself has, in a column `common_name`, by node.

    Raises:
        DataError: the file is damaged.
    """
    return {node: str(name) for node, name in enumerate(_column(path, "common_name")) if name}


def _column(path: Path, name: str) -> list[Any]:
    """A column in the order of the nodes; empty where there is none."""
    try:
        if name not in pq.read_schema(path).names:
            return []
        values: list[Any] = pq.ParquetFile(path).read(["node_id", name]).sort_by("node_id")[name].to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read the taxonomy {path}: {error}") from error
    return values


def _invented(dataset: str | None) -> bool:
    """Whether keys are those of the replica or of GBIF's test system.

    Raises:
        DataError: the file is damaged.
    """
    if dataset is None:
        return False
    try:
        facts = json.loads(Path(dataset).read_text(encoding="utf-8"))
        return str(facts.get("doi") or "").startswith(TEST_PREFIX)
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"cannot read {dataset}, which says what the version was trained on: {error}") from error
