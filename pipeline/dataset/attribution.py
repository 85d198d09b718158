"""Whom to credit for the photographs, and what GBIF needs to register the dataset as derived from its sources."""

import csv
import io
import shutil
from pathlib import Path

from pipeline.files import atomic_path, write_bytes
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet


def derived_dataset_path(paths: Paths) -> Path:
    """`derived_dataset.csv`: dataset_key, count; upload it at https://www.gbif.org/derived-dataset/register."""
    return paths.tables / "derived_dataset.csv"


def build_attribution(paths: Paths) -> Path:
    """Write `attribution.parquet`, one row per photograph that training uses, and `derived_dataset.csv`.

    Licences, holders and creators are as the source gave them; where it gave none they are null, never guessed.

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
    """Keep a copy of the credits of this dataset version, so that its models can be cited later.

    Args:
        paths: The paths of the scope.
        version: `dataset_version` of `dataset.json`.

    Returns:
        The folder with `dataset.json` (DOI, citation, counts), `attribution.parquet` and `derived_dataset.csv`.

    Raises:
        OSError: one of the files is missing.
    """
    folder = paths.dataset_version(version)
    for source in (paths.dataset_manifest, paths.table("attribution"), derived_dataset_path(paths)):
        with atomic_path(folder / source.name) as partial:
            shutil.copyfile(source, partial)
    return folder
