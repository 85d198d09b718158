"""Which species the networks learn, counted after the photographs were fetched and verified."""

from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.files import work_folder
from pipeline.paths import Paths
from pipeline.query import to_parquet
from pipeline.rejections import write_rejections

RULES = (
    "unknown_occurrence",
    "conflicting_photo",
    "duplicate_photo",
    "observation_cap",
    "too_few_images",
    "species_cap",
)
"""Why a usable photograph is removed; the first rule that applies is recorded."""


def build_species(paths: Paths, settings: Settings) -> Path:
    """Count usable photographs per accepted species; write the kept species and the rejected photographs.

    The paper keeps species with at least five images (section 4); broken and missing files are not images, so only
    rows of the ledger with status ok count, and identical bytes count once. The caps are defined in
    `sql/dataset/photo_verdicts.sql`.

    Args:
        paths: The paths of the scope.
        settings: `split.min_images`, `split.photos_per_observation`, `split.photos_per_species`, `split.seed`.

    Returns:
        The path of `species.parquet`.

    Raises:
        TableError: `photos.parquet` or `clean_occurrences.parquet` is missing.
        LockedError: another run is building the same table.
    """
    clean = paths.table("clean_occurrences")
    with work_folder(paths.work("species")) as folder:
        verdicts = judge_photographs(paths, settings, output=folder / "verdicts.parquet")
        rejected = to_parquet("species_rejections", inputs={"verdicts": verdicts}, output=folder / "rejected.parquet")
        write_rejections(paths, "species", rejected)
        return to_parquet(
            "species", inputs={"verdicts": verdicts, "clean_occurrences": clean}, output=paths.table("species")
        )


def judge_photographs(paths: Paths, settings: Settings, *, output: Path) -> Path:
    """Write the verdict on every usable photograph: the first rule that removes it, or its species.

    Args:
        paths: The files of the scope.
        settings: As for `build_species`.
        output: The Parquet file to write (photo_id, observation_id, species_key, species, rule, detail).

    Raises:
        TableError: `photos.parquet` or `clean_occurrences.parquet` is missing.
    """
    return to_parquet(
        "photo_verdicts",
        inputs={name: paths.table(name) for name in ("photos", "clean_occurrences")},
        output=output,
        min_images=settings.split.min_images,
        photos_per_observation=settings.split.photos_per_observation,
        photos_per_species=settings.split.photos_per_species,
        seed=str(settings.split.seed),
    )
