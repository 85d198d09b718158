"""The taxa that a list of a place is narrowed to: names are read as `naturewatch identify --within` reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.taxonomy import TaxonError, Taxonomy, TaxonomyError, UnknownTaxonError
from pipeline.errors import ListError, TableError
from pipeline.paths import Paths
from pipeline.query import rows


@dataclass(frozen=True, kw_only=True)
class Within:
    """A taxon that a list is narrowed to."""

    text: str
    """Its lineage, for people."""
    keys: tuple[str, ...]
    """Its key; the keys of its species where it only fills a rank that the checklist leaves blank, and has none."""


def read_tree(table: Path) -> Taxonomy:
    """The tree of the species that networks learn.

    Raises:
        TableError: `taxonomy.parquet` is missing or damaged.
    """
    if not table.exists():
        raise TableError(
            f"there is no dataset yet, nor a list of a place: {table} is missing; run `naturewatch run` first"
        )
    try:
        return Taxonomy.read(table)
    except TaxonomyError as error:
        raise TableError(str(error)) from error


def leaf_keys(tree: Taxonomy) -> set[str]:
    """The keys of the species of a tree."""
    return {key for leaf in tree.leaves if (key := tree.taxon_key[int(leaf)])}


def find_taxa(paths: Paths, tree: Taxonomy, texts: Sequence[str]) -> list[Within]:
    """The taxa of names, keys or lineages (`Plantae > Morus`).

    They are looked for in the tree of the species that networks learn, then among all clean occurrences: a list has
    species, too, that are too rare to be learnt.

    Raises:
        ListError: no taxon fits (similar names are offered), or several do (their lineages are listed).
        TableError: `clean_occurrences.parquet` is missing.
    """
    return [_find(paths, tree, text) for text in texts]


def _find(paths: Paths, tree: Taxonomy, text: str) -> Within:
    try:
        node = tree.find(text)
    except UnknownTaxonError as unknown:
        return _unlearnt(paths, text, unknown)
    except TaxonError as error:
        raise ListError(str(error)) from error
    key = tree.taxon_key[node]
    leaves = tree.leaves[tree.leaf_begin[node] : tree.leaf_end[node]]
    keys = (key,) if key is not None else tuple(found for leaf in leaves if (found := tree.taxon_key[int(leaf)]))
    return Within(text=tree.describe(node), keys=keys)


def _unlearnt(paths: Paths, text: str, unknown: UnknownTaxonError) -> Within:
    *above, name = (part.strip() for part in text.split(">"))
    inputs = {"clean_occurrences": paths.table("clean_occurrences")}
    found = [
        row for row in rows("unlearnt_taxa", inputs=inputs, key=name, folded=name.lower())
        if {part.casefold() for part in above} <= {(taxon or "").casefold() for taxon in _lineage(row)[:-1]}
    ]  # fmt: skip
    if not found:
        raise ListError(str(unknown).replace("the model knows no taxon", "no record is of the taxon")) from None
    if len(found) > 1:
        listed = "; ".join(f"{row['rank']} {' > '.join(_lineage(row))} (key {row['key']})" for row in found)
        raise ListError(f"{text!r} stands for several taxa, give the lineage or the key of one: {listed}") from None
    return Within(text=" > ".join(_lineage(found[0])), keys=(found[0]["key"],))


def _lineage(row: dict[str, Any]) -> list[str]:
    """The names from the kingdom down to the taxon."""
    return [name for name in row["lineage"] if name]
