"""Training and validation photographs. A side is a function of the unit's identifier and the seed, of nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.config.settings import Settings
from pipeline.files import atomic_path
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet
from pipeline.tables import CONTRACTS

UNITS = ("observation", "photo", "observer")
"""The unit that is assigned to one side as a whole: observations by default, photographs in the paper, or all that one
person has recorded."""


@dataclass(frozen=True, kw_only=True)
class SplitGaps:
    """Species that one side lacks. The paper has them too: 2,444 of its 19,027 species have no validation image."""

    without_training: tuple[str, ...]
    without_validation: tuple[str, ...]


def build_split(paths: Paths, settings: Settings) -> Path:
    """Write `split.parquet`: every kept photograph with its class, side, and half of the validation side.

    The bucket of a unit is MD5(identifier || ':' || seed). The half is drawn per observation, whatever the unit is, by
    another salt: photographs of one observation never judge what the others chose. Neither ever changes as the data
    grow, and the shares are right on average, not exactly.

    Args:
        paths: The paths of the scope.
        settings: `split.unit`: `observation` keeps the photographs of one observation together, `photo` is the
            paper's split (section 4), `observer` keeps together what one person has recorded; `split.validation`: the
            share of the validation side; `split.seed`.

    Returns:
        The path of `split.parquet`.

    Raises:
        TableError: an input table is missing.
    """
    return to_parquet(
        "split",
        inputs={
            "photos": paths.table("photos"),
            "clean_occurrences": paths.table("clean_occurrences"),
            "removed": paths.rejections_of("species"),
            "taxonomy": paths.table("taxonomy"),
        },
        output=paths.table("split"),
        unit=settings.split.unit,
        seed=str(settings.split.seed),
        validation=settings.split.validation,
    )


def build_genus_photos(paths: Paths, settings: Settings) -> Path:
    """Write `genus_photos.parquet`: training photographs of species that are too rare to be classes, by genus.

    Their lines stay in the rejections: no class is made of them. Empty where `split.rare_species` is `drop`.

    Returns:
        The path of `genus_photos.parquet`.

    Raises:
        TableError: an input table is missing.
    """
    output = paths.table("genus_photos")
    if settings.split.rare_species == "drop":
        with atomic_path(output) as partial:
            pq.write_table(CONTRACTS["genus_photos"].schema.empty_table(), partial, compression="zstd")
        return output
    return to_parquet(
        "genus_photos",
        inputs={
            "photos": paths.table("photos"),
            "clean_occurrences": paths.table("clean_occurrences"),
            "removed": paths.rejections_of("species"),
            "species": paths.table("species"),
            "taxonomy": paths.table("taxonomy"),
        },
        output=output,
        unit=settings.split.unit,
        seed=str(settings.split.seed),
        validation=settings.split.validation,
    )


def split_gaps(paths: Paths, settings: Settings) -> Mapping[str, SplitGaps]:
    """Species without a photograph on one of the sides, by name, for each of `UNITS`, whichever is configured.

    Raises:
        TableError: `split.parquet`, `taxonomy.parquet` or `clean_occurrences.parquet` is missing.
    """
    found = rows(
        "split_gaps",
        inputs={name: paths.table(name) for name in ("split", "taxonomy", "clean_occurrences")},
        seed=str(settings.split.seed),
        validation=settings.split.validation,
    )
    return {
        unit: SplitGaps(
            without_training=tuple(row["species"] for row in found if row["unit"] == unit and not row["train"]),
            without_validation=tuple(row["species"] for row in found if row["unit"] == unit and not row["validation"]),
        )
        for unit in UNITS
    }
