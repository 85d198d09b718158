"""Training and validation photographs. A side is a function of the unit's identifier and the seed, of nothing else."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Settings
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet


@dataclass(frozen=True, kw_only=True)
class SplitGaps:
    """Species that one side lacks. The paper has them too: 2,444 of its 19,027 species have no validation image."""

    without_training: tuple[str, ...]
    without_validation: tuple[str, ...]


def build_split(paths: Paths, settings: Settings) -> Path:
    """Write `split.parquet`: every kept photograph with its class, side, and half of the validation side.

    The bucket of a unit is MD5(identifier || ':' || seed); the half comes from another salt. A unit therefore never
    changes sides as the data grow, and the shares are right on average, not exactly.

    Args:
        paths: Where the files of the scope lie.
        settings: `split.unit`: `observation` keeps the photographs of one observation together, `photo` is the
            paper's split (section 4); `split.validation`: the share of the validation side; `split.seed`.

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


def split_gaps(paths: Paths) -> SplitGaps:
    """Species without a photograph on one of the sides, by name.

    Raises:
        TableError: `split.parquet` or `taxonomy.parquet` is missing.
    """
    found = rows("split_gaps", inputs={"split": paths.table("split"), "taxonomy": paths.table("taxonomy")})
    return SplitGaps(
        without_training=tuple(row["species"] for row in found if not row["train"]),
        without_validation=tuple(row["species"] for row in found if not row["validation"]),
    )
