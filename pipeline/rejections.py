"""The lines that removed rows leave behind. Which rule removes a row is decided by each stage."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.files import atomic_path, exclusive
from pipeline.paths import Paths
from pipeline.query import tally, to_parquet

REJECTIONS = pa.schema([(name, pa.string()) for name in ("stage", "key", "rule", "detail")])
"""One line per removed row: the asset, the row's key there, the rule, and what a person wants to know."""

STAGES = ("occurrences", "clean_occurrences", "photo_index", "photos", "species")
"""The assets that remove rows, in the order of the pipeline."""


def write_rejections(paths: Paths, stage: str, table: pa.Table | Path) -> Path:
    """Replace the rejections of one stage, then refresh `rejections.parquet`, the union of all stages.

    Args:
        paths: The paths of the scope.
        stage: One of `STAGES`.
        table: Columns key, rule, detail, all strings (castable). An empty table means that the stage removed nothing.
            Millions of lines are given as a Parquet file.

    Returns:
        The path of `rejections.parquet`.

    Raises:
        TableError: the stage is unknown, or the table does not have these columns.
    """
    if stage not in STAGES:
        raise TableError(f"unknown stage {stage!r} of rejections; the stages are {', '.join(STAGES)}")
    names = pq.read_schema(table).names if isinstance(table, Path) else table.column_names
    if set(names) != {"key", "rule", "detail"}:
        raise TableError(f"rejections of {stage} have the columns {', '.join(names)}; wanted key, rule and detail")
    union = paths.table("rejections")
    with exclusive(union.parent / ".rejections.lock"):
        lines = paths.rejections_of(stage)
        # Sorted, so that equal contents make equal files.
        to_parquet("rejection_lines", inputs={"lines": table}, output=lines, stage=stage)
        _unite(paths)
    return union


def gather_rejections(paths: Paths) -> Path:
    """Write `rejections.parquet` from the rejections of all stages, as each of them does when it has removed rows.

    Returns:
        The path of `rejections.parquet`.
    """
    union = paths.table("rejections")
    with exclusive(union.parent / ".rejections.lock"):
        return _unite(paths)


def _unite(paths: Paths) -> Path:
    """Write the union of the stages that there are, in the order of `STAGES`; the caller holds the lock."""
    union = paths.table("rejections")
    stages = [path for name in STAGES if (path := paths.rejections_of(name)).exists()]
    with atomic_path(union) as partial, pq.ParquetWriter(partial, REJECTIONS, compression="zstd") as writer:
        for path in stages:
            for batch in pq.ParquetFile(path).iter_batches(batch_size=100_000):
                writer.write_batch(batch.cast(REJECTIONS))
    return union


def removed_by(paths: Paths, stage: str) -> dict[str, int]:
    """How many rows each rule of one stage removed: rule -> rows.

    Raises:
        TableError: the stage has written no rejections yet.
    """
    return {str(rule): lines for (rule,), lines in tally(paths.rejections_of(stage), "rule").items()}


def counts(paths: Paths) -> dict[str, dict[str, int]]:
    """How many rows each rule removed: stage -> rule -> rows, stages in the order of the pipeline.

    Raises:
        TableError: no stage has written rejections yet.
    """
    found = sorted(tally(paths.table("rejections"), "stage", "rule").items())
    by_stage = {name: {rule: lines for (stage, rule), lines in found if stage == name} for name in STAGES}
    return {stage: rules for stage, rules in by_stage.items() if rules}
