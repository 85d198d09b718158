"""Whom to credit for the photographs, and what GBIF needs to register the dataset as derived from its sources."""

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.config.licence_names import OPEN
from pipeline.files import atomic_path, write_bytes
from pipeline.paths import Paths
from pipeline.query import rows, tally, to_parquet

LIMITS: Final = {
    "NC": "do not allow commercial use of the photographs; whether a model that was trained on them may be used "
    "commercially is unsettled",
    "SA": "ask that adaptations be shared under the same licence; whether a model is an adaptation is unsettled",
    "ND": "do not allow adaptations to be shared; whether a model is an adaptation is unsettled",
}
"""What a word in the name of a Creative Commons licence means for those who use a model."""


KEPT_TABLES: Final = ("split", "taxonomy", "genus_photos", "attribution")
"""The tables that a dataset version is made of, and whom to credit for it; they are kept with it."""


def derived_dataset_path(paths: Paths) -> Path:
    """`derived_dataset.csv`: dataset_key, count; upload it at https://www.gbif.org/derived-dataset/register."""
    return paths.tables / "derived_dataset.csv"


def build_attribution(paths: Paths) -> Path:
    """Write `attribution.parquet`, one row per photograph that training uses, and `derived_dataset.csv`.

    Licences, holders and creators are as the source gave them; where it gave none they are null, never guessed. The
    column `credit` is whom to name under the photograph: the holder, else the creator, else `unknown holder`.

    Returns:
        The path of `attribution.parquet`.

    Raises:
        TableError: `split`, `genus_photos`, `photos`, `taxonomy` or `clean_occurrences` is missing.
    """
    used = {"split": paths.table("split"), "genus_photos": paths.table("genus_photos")}
    sources = rows("derived_dataset", inputs={**used, "clean_occurrences": paths.table("clean_occurrences")})
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=("dataset_key", "count"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(sources)
    write_bytes(derived_dataset_path(paths), text.getvalue().encode())
    return to_parquet(
        "attribution",
        inputs={**used, "photos": paths.table("photos"), "taxonomy": paths.table("taxonomy")},
        output=paths.table("attribution"),
    )


def keep_attribution(paths: Paths, *, version: str) -> Path:
    """Keep a copy of this dataset version and its credits, so that its models can be cited and explained later.

    Args:
        paths: The paths of the scope.
        version: `dataset_version` of `dataset.json`.

    Returns:
        The folder with `dataset.json` (DOI, citation, counts), the tables `KEPT_TABLES` and `derived_dataset.csv`.

    Raises:
        OSError: one of the files is missing.
    """
    folder = paths.dataset_version(version)
    for source in (paths.dataset_manifest, *map(paths.table, KEPT_TABLES), derived_dataset_path(paths)):
        with atomic_path(folder / source.name) as partial:
            shutil.copyfile(source, partial)
    return folder


def licence_counts(attribution: Path) -> dict[str, int]:
    """Photographs under each licence, the most frequent first.

    Args:
        attribution: `attribution.parquet`, of the present dataset or kept with a version (`keep_attribution`).

    Raises:
        TableError: the file is missing.
    """
    return {licence or "unknown": number for (licence,), number in tally(attribution, "licence").items()}


def licence_statement(counts: Mapping[str, int]) -> str:
    """What the licences of the photographs mean for those who use a model that was trained on them.

    Args:
        counts: Photographs by licence, as `licence_counts` gives them.

    Returns:
        Plain sentences in one paragraph, for a model card.
    """
    total = sum(counts.values())
    if not total:
        return "The dataset has no photograph."
    listed = ", ".join(f"{number:,} {licence}" for licence, number in counts.items())
    sentences = [f"Licences of the {total:,} photographs: {listed}."]
    for limit, meaning in LIMITS.items():
        limited = sum(number for licence, number in counts.items() if limit in licence.split("-"))
        if limited:
            sentences.append(f"{_share(limited, total)} are under licences that {meaning}.")
    closed = sum(number for licence, number in counts.items() if licence not in OPEN)
    if closed:
        sentences.append(
            f"{_share(closed, total)} are under no open licence (all rights reserved, or not known): do not show them "
            "or pass them on without the consent of their holders, and ask before you publish the model."
        )
    return " ".join([*sentences, "Nothing here licenses the weights: whoever trained them decides about that."])


def _share(part: int, total: int) -> str:
    """A share in whole per cent; neither a few nor all but a few are rounded away."""
    return f"{min(max(round(100 * part / total), 1), 99 if part < total else 100)} %"
