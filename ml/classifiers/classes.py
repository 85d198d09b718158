"""The classes of a classifier trained elsewhere: a tree from a table of lineages, and the class of each column.

Names are compared without regard to case and to blanks around them. A missing value, an empty text, and what programs
write for one (nan, NA, N/A, none, null) count as blank.
"""

import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import DataError
from ml.taxonomy import Taxonomy

Row = dict[str, Any]
Order = npt.NDArray[np.intp]

MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "none", "null", "nat"})
"""What programs write where there is no value, in lower case."""
SHOWN = 3
"""Names that an error lists."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Classes:
    """The classes of a classifier."""

    taxonomy: Taxonomy
    order: Order | None = None
    """The classifier's own number of each class of the tree; None: they are the same. Shape C."""

    def own_numbers(self) -> Order:
        """The classifier's number of each class of the tree. Shape C."""
        return np.arange(self.taxonomy.class_count) if self.order is None else self.order


def cleaned(value: object) -> str:
    """A name without superfluous blanks; empty where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = unicodedata.normalize("NFC", " ".join(str(value).split()))
    return "" if text.casefold() in MISSING else text


def taxonomy_of_classes(rows: Sequence[Row], *, ranks: Sequence[str]) -> Classes:
    """Build the tree of classes that are given by their lineages.

    Args:
        rows: One per class: `class_id` and a name for each rank; a blank rank becomes a placeholder.
        ranks: Names of the rank columns, the highest first.

    Raises:
        DataError: two classes have the same lineage, or one has no name at all.
    """
    named = [(tuple(cleaned(row[rank]) for rank in ranks), int(row["class_id"])) for row in rows]
    nameless = [class_id for names, class_id in named if not any(names)]
    if nameless:
        raise DataError(f"class {nameless[0]} has no name in {', '.join(ranks)}")
    ordered = sorted((_folded(names), names, class_id) for names, class_id in named)
    for (before, _, first), (after, names, second) in itertools.pairwise(ordered):
        if before == after:
            lineage, both = " > ".join(name or "(blank)" for name in names), sorted((first, second))
            raise DataError(f"two classes are {lineage} ({both[0]} and {both[1]}): merge them or name them apart")
    nodes: list[Row] = []
    path: list[int] = []

    def open_node(depth: int, name: str, class_id: int | None, leaf: int) -> None:
        nodes.append(
            {
                "node_id": len(nodes),
                "parent_id": path[-1] if path else None,
                "depth": depth,
                "rank": ranks[depth - 1] if depth else "root",
                "name": name or f"unplaced in {nodes[path[-1]]['name']}",
                "taxon_key": None,
                "placeholder": not name,
                "class_id": class_id,
                "leaf_begin": leaf,
                "leaf_end": leaf + 1,
            }
        )
        path.append(len(nodes) - 1)

    open_node(0, "Life", None, 0)
    previous: tuple[str, ...] = ()
    for leaf, (folded, names, _) in enumerate(ordered):
        shared = 0
        while shared < len(previous) and folded[shared] == previous[shared]:
            shared += 1
        del path[shared + 1 :]
        for node in path:
            nodes[node]["leaf_end"] = leaf + 1
        for depth in range(shared + 1, len(ranks) + 1):
            open_node(depth, names[depth - 1], leaf if depth == len(ranks) else None, leaf)
        previous = folded
    return Classes(
        taxonomy=Taxonomy.of_rows(nodes), order=np.array([class_id for _, _, class_id in ordered], dtype=np.intp)
    )


def columns_of(names: Sequence[str], classes: Classes) -> Order:
    """The position of the column of each class of the tree. Shape C.

    Columns are named by species, by lineage (`Plantae > ... > Morus alba`), by taxon key, or by class id, with or
    without a word before it (`7`, `class_7`).

    Args:
        names: One per column.
        classes: The classes.

    Raises:
        DataError: they name no class, or only some, or one twice.
    """
    wanted = [cleaned(name).casefold() for name in names]
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    if twice:
        raise DataError(f"two columns are named {twice[0]!r}")
    schemes = _schemes(classes)
    position = {name: column for column, name in enumerate(wanted)}
    for scheme in schemes:
        if position.keys() == set(scheme):
            return np.array([position[name] for name in scheme], dtype=np.intp)
    numbered = _numbers(wanted)
    if numbered is not None and sorted(numbered) == list(range(classes.taxonomy.class_count)):
        column_of = {number: column for column, number in enumerate(numbered)}
        return np.array([column_of[int(number)] for number in classes.own_numbers()], dtype=np.intp)
    raise DataError(_mismatch(names, schemes, numbered, count=classes.taxonomy.class_count))


def _folded(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.casefold() for name in names)


def _schemes(classes: Classes) -> list[list[str]]:
    """Ways to name all classes without doubt, each with a name per class of the tree."""
    tree = classes.taxonomy
    ways = [
        [tree.name[leaf] for leaf in tree.leaves],
        [tree.describe(int(leaf)) for leaf in tree.leaves],
        [tree.taxon_key[leaf] for leaf in tree.leaves],
    ]
    folded = [[cleaned(name).casefold() for name in way] for way in ways]
    return [way for way in folded if all(way) and len(set(way)) == len(way)]


def _numbers(names: Sequence[str]) -> list[int] | None:
    """The numbers at the end of names that are otherwise the same."""
    found = [re.fullmatch(r"(\D*)(\d{1,9})", name) for name in names]
    matches = [match for match in found if match is not None]
    if len(matches) < len(found) or len({match[1] for match in matches}) > 1:
        return None
    return [int(match[2]) for match in matches]


def _mismatch(
    names: Sequence[str], schemes: Sequence[Sequence[str]], numbered: Sequence[int] | None, *, count: int
) -> str:
    """Why columns are not the classes."""
    advice = "name each column by its species, its taxon key or its class id"
    if numbered is not None:
        return (
            f"the columns are numbered from {min(numbered)} to {max(numbered)}, {len(numbered)} in all, but class ids "
            f"go from 0 to {count - 1}; {advice}"
        )
    there = {cleaned(name).casefold() for name in names}
    nearest = set(max(schemes, key=lambda scheme: len(there & set(scheme)), default=()))
    strange = [name for name in names if cleaned(name).casefold() not in nearest]
    absent = sorted(nearest - there)
    if len(strange) == len(names):
        return f"no column is named like a class ({_some(strange)}); {advice}"
    parts = [f"{len(strange)} columns are no class ({_some(strange)})"] if strange else []
    parts += [f"{len(absent)} classes have no column ({_some(absent)})"] if absent else []
    return f"{' and '.join(parts)}; {advice}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
