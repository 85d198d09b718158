"""From occurrences as received to occurrences of accepted species. The rules themselves are in `sql/`."""

import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.config import Settings
from pipeline.paths import Paths
from pipeline.query import to_parquet
from pipeline.rejections import write_rejections

RULES = (
    "duplicate_occurrence",
    "no_taxonomy",
    "hybrid",
    "bold_bin",
    "provisional_name",
    "higher_rank_match",
    "above_species",
    "missing_species_key",
    "missing_species_name",
    "unusual_taxonomy",
)
"""Why an occurrence is removed; the first that applies is the one that is recorded."""


def build_clean_occurrences(paths: Paths, settings: Settings) -> Path:
    """Judge every occurrence by `sql/occurrence_verdicts.sql`; write the clean ones and the rejections.

    Each row of `occurrences.parquet` ends in exactly one of `clean_occurrences.parquet` and the rejections of the
    stage `clean_occurrences` (key: occurrence_key; rule: one of `RULES`).

    Args:
        paths: Where the files of the scope lie.
        settings: `taxonomy.unusual` decides about missing inner ranks: `placeholder` keeps them blank, `drop` (the
            paper, section 4) removes the occurrence.

    Returns:
        The path of `clean_occurrences.parquet`.

    Raises:
        TableError: `occurrences.parquet` is missing.
    """
    output = paths.table("clean_occurrences")
    with tempfile.TemporaryDirectory(dir=paths.tables, prefix=".verdicts.") as folder:
        verdicts = to_parquet(
            "occurrence_verdicts",
            inputs={"occurrences": paths.table("occurrences")},
            output=Path(folder) / "verdicts.parquet",
            unusual=settings.taxonomy.unusual,
        )
        rejected = to_parquet(
            "clean_rejections", inputs={"verdicts": verdicts}, output=Path(folder) / "rejected.parquet"
        )
        write_rejections(paths, "clean_occurrences", pq.read_table(rejected))
        return to_parquet("clean_occurrences", inputs={"verdicts": verdicts}, output=output)
