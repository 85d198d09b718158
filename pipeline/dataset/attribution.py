"""Whom to name for the photographs, and what GBIF needs to register the dataset as derived from its sources."""

import csv
import io
from pathlib import Path

from pipeline.files import write_bytes
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet


def derived_dataset_path(paths: Paths) -> Path:
    """`derived_dataset.csv`: dataset_key, count; upload it at https://www.gbif.org/derived-dataset/register."""
    return paths.tables / "derived_dataset.csv"


def build_attribution(paths: Paths) -> Path:
    """Write `attribution.parquet`, one row per photograph of the split, and `derived_dataset.csv`.

    Licences, holders and creators stand as the source gave them; where it gave none they are null, not guessed.

    Returns:
        The path of `attribution.parquet`.

    Raises:
        TableError: `split`, `photos`, `taxonomy` or `clean_occurrences` is missing.
    """
    split = paths.table("split")
    sources = rows("derived_dataset", inputs={"split": split, "clean_occurrences": paths.table("clean_occurrences")})
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=("dataset_key", "count"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(sources)
    write_bytes(derived_dataset_path(paths), text.getvalue().encode())
    return to_parquet(
        "attribution",
        inputs={"split": split, "photos": paths.table("photos"), "taxonomy": paths.table("taxonomy")},
        output=paths.table("attribution"),
    )
