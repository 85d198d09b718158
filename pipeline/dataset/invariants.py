"""Properties of the dataset tables, each as a function from the files to the list of what is broken."""

import math
from pathlib import Path
from typing import Final

from pipeline.paths import Paths
from pipeline.query import rows
from pipeline.tables import CONTRACTS

_NOBODY: Final = CONTRACTS["clean_occurrences"].schema.empty_table()
"""Stands for the occurrences where it does not matter who recorded them."""


def small_species(paths: Paths, *, minimum: int) -> list[str]:
    """Classes with fewer photographs in the split's source than `minimum`."""
    found = rows("check_small_species", inputs={"species": paths.table("species")}, minimum=minimum)
    return [f"{row['species']} ({row['taxon_key']}) has {row['photos']} photographs" for row in found]


def tree(paths: Paths) -> list[str]:
    """Nodes that break the tree: a wrong root, parent, preorder number, depth or leaf range."""
    found = rows("check_tree", inputs={"taxonomy": paths.table("taxonomy")})
    return [f"node {row['node_id']} ({row['name']}): {row['problem']}" for row in found]


def straddling_observations(paths: Paths) -> list[str]:
    """Observations with photographs in training and in validation."""
    found = rows("check_straddling", inputs={"split": paths.table("split")})
    return [f"observation {row['observation_id']} is on both sides" for row in found]


def straddling_observers(paths: Paths) -> list[str]:
    """Observers, by pseudonym, with photographs in training and in validation."""
    found = rows("check_straddling_observers", inputs=_tables(paths, "split", "clean_occurrences"))
    return [f"observer {row['observer']} is on both sides" for row in found]


def learnt_places(paths: Paths) -> list[str]:
    """Training rows of `places` whose observation has a validation photograph: their places must not be learnt."""
    found = rows("check_learnt_places", inputs=_tables(paths, "places", "split"))
    return [f"occurrence {row['occurrence_key']} of observation {row['observation_id']}" for row in found]


def train_share(paths: Paths, *, unit: str, validation: float) -> tuple[float, float, list[str]]:
    """The training share of the photographs, how far it may be from 1 - `validation`, and what is wrong with it.

    Whole units fall on one side, so the standard error is that of a sum over units of their photographs; five of them
    are allowed.
    """
    recorded = paths.table("clean_occurrences") if unit == "observer" else _NOBODY
    (row,) = rows("check_train_share", inputs={"split": paths.table("split"), "clean_occurrences": recorded}, unit=unit)
    photos, squares = row["photos"], row["sum_of_squares"]
    if not photos:
        return math.nan, math.nan, ["the split has no photograph"]
    share = row["train"] / photos
    error = math.sqrt(validation * (1 - validation) * squares) / photos
    wanted = 1 - validation
    if abs(share - wanted) <= 5 * error:
        return share, 5 * error, []
    problem = f"the training share is {share:.1%}, wanted {wanted:.1%} with a standard error of {error:.2%}"
    return share, 5 * error, [problem]


def _tables(paths: Paths, *names: str) -> dict[str, Path]:
    return {name: paths.table(name) for name in names}
