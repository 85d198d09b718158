"""Where and when the organisms of the dataset were found. The rules are in `sql/dataset/places.sql`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.paths import Paths
from pipeline.query import rows, tally, to_parquet

MOST_UNCERTAIN_M: Final = 100_000.0
"""A place that is less certain than this, in metres, does not count."""
FIRST_YEAR: Final = 1600
"""GBIF calls a date before this year unlikely; such a year, as the year 0, is taken for an error."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """How many of the occurrences have what."""

    occurrences: int
    placed: int
    """Their place counts."""
    obscured: int
    """Their place counts, and is known to the size of a cell only."""
    dated: int
    """Their place counts, and their day is known."""
    learnt: int
    """Their place counts, and may be learnt: they are on the training side."""
    observers: int
    """People who are named, by pseudonym."""
    problems: dict[str, int]
    """Rule -> occurrences whose place does not count because of it, the most frequent first."""


def build_places(paths: Paths) -> Path:
    """Write `places.parquet`: place and day of every occurrence of the split, or why its place does not count.

    No occurrence and no photograph leaves the dataset because of its place.

    Returns:
        The path of `places.parquet`.

    Raises:
        TableError: an input table is missing, or lacks columns because older code wrote it.
    """
    return to_parquet(
        "places",
        inputs={"split": paths.table("split"), "clean_occurrences": paths.table("clean_occurrences")},
        output=paths.table("places"),
        most_uncertain=MOST_UNCERTAIN_M,
        first_year=FIRST_YEAR,
    )


def places(paths: Paths) -> Places:
    """Count what `places.parquet` holds.

    Raises:
        TableError: `places.parquet` is missing.
    """
    (row,) = rows("place_counts", inputs={"places": paths.table("places")})
    problems = {problem: number for (problem,), number in tally(paths.table("places"), "problem").items() if problem}
    return Places(**row, problems=problems)
