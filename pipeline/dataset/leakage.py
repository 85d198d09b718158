"""Near-identical photographs on both sides of the split, for which validation does not measure generalisation."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.paths import Paths
from pipeline.query import rows, to_parquet

DISTANCE = 6
"""Bits by which the fingerprints of near-identical photographs differ at most (see docs/dataset.md)."""


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """How much of the validation side looks like a training photograph."""

    validation: int
    """Photographs of the validation side."""
    leaked: int
    """Those of them with at least one near-identical training photograph."""
    pairs: int
    same_species: int
    """Pairs of one species; the labels of the other pairs contradict each other."""

    @property
    def share(self) -> float:
        """The leaked share of the validation side; 0 where it is empty."""
        return self.leaked / self.validation if self.validation else 0.0


def build_leakage(paths: Paths) -> Path:
    """Write `leakage.parquet`: pairs of near-identical photographs across the sides of the split.

    Identical bytes are removed earlier: they are kept once per species, and not at all under two species.

    Returns:
        The path of `leakage.parquet`.

    Raises:
        TableError: `split.parquet` or the index of the pack is missing.
    """
    return to_parquet(
        "leakage",
        inputs={"split": paths.table("split"), "packed": paths.pack_index},
        output=paths.table("leakage"),
        distance=DISTANCE,
    )


def leakage(paths: Paths) -> Leakage:
    """Count what `leakage.parquet` holds.

    Raises:
        TableError: `leakage.parquet` or `split.parquet` is missing.
    """
    (row,) = rows("leakage_counts", inputs={"leakage": paths.table("leakage"), "split": paths.table("split")})
    return Leakage(**row)
