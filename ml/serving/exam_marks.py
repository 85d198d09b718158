"""Whether answers in the exam are right, by the present names of what the photographs show.

Species are compared by checklist and key, never by name: there are homonyms. A version answers in the tree that it
was trained on. A species of it whose key has changed since is followed to its present key; several that were merged are
one. One that was divided since is not known to a version that lacks a part of it: it means more than the name says now.
Above the species an answer is right if the version's own tree has the species below it; the present tree decides
where the version does not know the species.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.taxonomy import ROOT, Taxonomy

Key = tuple[str | None, str]
"""Checklist and key of a species."""
Taxon = tuple[str, str]
"""Rank and key of a taxon; rank and name of a placeholder, which has no key."""

MARKED: Final = pa.schema(
    [
        ("photo_id", pa.string()), ("observation_id", pa.string()), ("species_key", pa.string()),
        ("named_key", pa.string()), ("known", pa.bool_()), ("top1_right", pa.bool_()), ("top_key", pa.string()),
        ("top_name", pa.string()),
        ("top_probability", pa.float64()), ("rank", pa.string()), ("depth", pa.int32()),
        ("answer_name", pa.string()), ("answer_key", pa.string()), ("answer_probability", pa.float64()),
        ("answer_right", pa.bool_()),
    ]
)  # fmt: skip
"""The columns of `answers.parquet`; `ml.spec.VersionAnswers` explains them."""
MARKED_PLACED: Final = MARKED.append(pa.field("case", pa.string()))
"""The columns of `placed.parquet`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Marker:
    """Marks the answers of one version."""

    tree: Taxonomy
    """The version's own."""
    leaves: Mapping[Key, frozenset[int]]
    """Present species -> its classes in the version's tree; several where they were merged since."""
    renamed: Mapping[Key, Key]
    """Species with another key now -> the present one."""
    species: Sequence[Key | None]
    """The present species of each class of the version's tree; None where it has no key."""
    divided: frozenset[Key]
    """Species that the version knows as a part, or as the whole, of what is several species now."""
    lineages: Mapping[Key, frozenset[Taxon]]
    """Present species -> the taxa above it and itself, in the present tree."""

    @classmethod
    def read(cls, own: Path, *, present: Path, renames: Path, splits: Path, exam: Path) -> Self:
        """Read the trees and how keys have changed.

        Args:
            own: `taxonomy.parquet` of the version.
            present: `taxonomy.parquet` of the present dataset.
            renames: Keys that have changed: old_checklist_key, old_taxon_key, checklist_key, taxon_key.
            splits: Species that were divided: checklist_key, taxon_key, part_checklist_key, part_taxon_key.
            exam: `exam.parquet`; its checklist is taken for that of a version whose tree does not name one.

        Raises:
            TaxonomyError: a tree is missing or damaged.
            DataError: another table is.
        """
        tree, now = Taxonomy.read(own), Taxonomy.read(present)
        try:
            rows, pairs = (pq.read_table(path).to_pylist() for path in (renames, splits))
            checklists = pq.read_table(exam, columns=["checklist_key", "species_key"]).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"cannot read {renames}, {splits} or {exam}: {error}; materialise the asset exam again"
            ) from error
        renamed = {(row["old_checklist_key"], row["old_taxon_key"]): _key(row, "taxon_key") for row in rows}
        assumed = {row["species_key"]: row["checklist_key"] for row in checklists}
        species = [key and renamed.get(key, key) for key in _species(own, tree, assumed=assumed)]
        leaves: dict[Key, set[int]] = defaultdict(set)
        for class_id, key in enumerate(species):
            if key is not None:
                leaves[key].add(class_id)
        lineages = {
            key: frozenset(_taxon(now, node) for node in now.lineage(int(leaf))[1:])
            for leaf, key in zip(now.leaves, _species(present, now, assumed=assumed), strict=True)
            if key is not None
        }
        return cls(
            tree=tree,
            leaves={key: frozenset(classes) for key, classes in leaves.items()},
            renamed=renamed,
            species=species,
            divided=_divided(pairs, present=lineages.keys(), known=leaves.keys()),
            lineages=lineages,
        )

    def mark(self, photograph: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        """A row of `MARKED`, or of `MARKED_PLACED`.

        Args:
            photograph: A row of `exam.parquet`.
            answer: A row of `ml.serving.contestant.SCHEMA`, or `PLACED`.
        """
        tree, top, node = self.tree, answer["top_node"], answer["answer_node"]
        truth = _key(photograph, "species_key")
        classes = self.leaves.get(truth, frozenset())
        then, said = _key(answer, "species_key"), self.species[int(tree.class_id[top])]
        if classes:
            right = any(tree.leaf_begin[node] <= each < tree.leaf_end[node] for each in classes)
        else:
            right = node == ROOT or _taxon(tree, node) in self.lineages.get(truth, ())
        return {
            "photo_id": photograph["photo_id"],
            "observation_id": photograph["observation_id"],
            "species_key": photograph["species_key"],
            "named_key": self.renamed.get(then, then)[1],
            "known": bool(classes) and truth not in self.divided,
            "top1_right": int(tree.class_id[top]) in classes,
            "top_key": None if said is None else said[1],
            "top_name": tree.name[top],
            "top_probability": answer["top_probability"],
            "rank": tree.rank[node],
            "depth": int(tree.depth[node]),
            "answer_name": tree.name[node],
            "answer_key": tree.taxon_key[node],
            "answer_probability": answer["answer_probability"],
            "answer_right": bool(right),
            **({"case": answer["case"]} if "case" in answer else {}),
        }


def _divided(pairs: Sequence[Mapping[str, Any]], *, present: Collection[Key], known: Collection[Key]) -> frozenset[Key]:
    """Species that belong together with one, by a chain of divisions, that is known now and that the version lacks."""
    beside: dict[Key, set[Key]] = defaultdict(set)
    for row in pairs:
        whole, part = _key(row, "taxon_key"), (row["part_checklist_key"], str(row["part_taxon_key"]))
        beside[whole].add(part)
        beside[part].add(whole)
    found: set[Key] = set()
    waiting = [key for key in beside if key in present and key not in known]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += beside[key]
    return frozenset(found)


def _key(row: Mapping[str, Any], column: str) -> Key:
    return row["checklist_key"], str(row[column])


def _taxon(tree: Taxonomy, node: int) -> Taxon:
    return tree.rank[node], tree.taxon_key[node] or tree.name[node]


def _species(path: Path, tree: Taxonomy, *, assumed: Mapping[str, str | None]) -> list[Key | None]:
    """Checklist and key of each class; None where it has no key."""
    keys = [tree.taxon_key[leaf] for leaf in tree.leaves]
    if "checklist_key" not in pq.read_schema(path).names:
        return [None if key is None else (assumed.get(key), key) for key in keys]
    rows = pq.read_table(path, columns=["class_id", "checklist_key"]).to_pylist()
    checklists = {row["class_id"]: row["checklist_key"] for row in rows}
    return [None if key is None else (checklists[class_id], key) for class_id, key in enumerate(keys)]
