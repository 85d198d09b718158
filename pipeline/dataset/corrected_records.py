"""Applies a person's corrections of records to the verdicts on occurrences. The rules themselves are in `sql/`."""

from pathlib import Path

import pyarrow as pa

from pipeline.query import to_parquet


def correct_records(verdicts: Path, corrections: pa.Table, *, folder: Path) -> tuple[Path, Path]:
    """The verdicts as corrected, and what became of each correction.

    Args:
        verdicts: The rows of `sql/dataset/occurrence_verdicts.sql`.
        corrections: Those of records (`pipeline.corrections.Corrections`).
        folder: Where both files are written.

    Returns:
        The verdicts with the same columns, and the rows of `sql/dataset/correction_verdicts.sql`.
    """
    judged = to_parquet(
        "correction_verdicts",
        inputs={"verdicts": verdicts, "corrections": corrections},
        output=folder / "corrections.parquet",
    )
    corrected = to_parquet(
        "corrected_verdicts",
        inputs={"verdicts": verdicts, "corrections": judged},
        output=folder / "corrected.parquet",
    )
    return corrected, judged
