"""The table of suspects, and the same as a file of corrections that a person fills in."""

from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from pipeline.dataset.leakage import DISTANCE
from pipeline.files import work_folder
from pipeline.paths import Paths
from pipeline.query import rows, to_csv, to_parquet

LISTED: Final = 200
"""Photographs that the page shows, and the file lists whatever they are."""


def build_suspects(paths: Paths, scores: Path) -> Path:
    """Write `suspects.parquet`: every photograph of the split, the most suspicious first.

    Args:
        paths: The files of the scope.
        scores: `scores.parquet` of the child `label_quality`.

    Returns:
        The path of `suspects.parquet`.

    Raises:
        TableError: `split`, `taxonomy` or the index of the pack is missing.
        LockedError: another run is building the same table.
    """
    split, taxonomy = paths.table("split"), paths.table("taxonomy")
    with work_folder(paths.work("suspects")) as folder:
        copies = to_parquet(
            "contradicting_copies",
            inputs={"split": split, "packed": paths.pack_index},
            output=folder / "copies.parquet",
            distance=DISTANCE,
        )
        return to_parquet(
            "suspects",
            inputs={"scores": scores, "split": split, "taxonomy": taxonomy, "copies": copies},
            output=paths.table("suspects"),
        )


def write_suspects_csv(paths: Paths) -> Path:
    """Write `reports/suspects.csv`: the first suspects and all that may have the wrong name, as corrections to fill in.

    It has the columns of `labels.corrections` with the suggested species; the actions are empty, so that it changes
    nothing until a person writes `identify` or `drop`.

    Raises:
        TableError: `suspects.parquet` or `taxonomy.parquet` is missing.
    """
    inputs = {name: paths.table(name) for name in ("suspects", "taxonomy")}
    return to_csv("suspects_csv", inputs=inputs, output=paths.reports / "suspects.csv", most=LISTED)


def counted(paths: Paths) -> dict[str, int]:
    """How many photographs there are, were judged, may have the wrong name, and have a copy under another name.

    Raises:
        TableError: `suspects.parquet` is missing.
    """
    (found,) = rows("suspect_counts", inputs={"suspects": paths.table("suspects")})
    return {name: int(number) for name, number in found.items()}


def first_suspects(paths: Paths, *, most: int) -> list[dict[str, object]]:
    """The most suspicious photographs: photo_id, species, looks like, probability (%), for the UI."""
    columns = ["photo_id", "species", "suggested_species", "suggested_probability"]
    table = pq.read_table(paths.table("suspects"), columns=columns, filters=[("suspicion_rank", "<=", most)])
    return [
        {
            "photograph": row["photo_id"],
            "under": row["species"],
            "looks like": row["suggested_species"],
            "probability": f"{row['suggested_probability'] or 0:.0%}",
        }
        for row in table.to_pylist()
    ]
