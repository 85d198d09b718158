"""The lines that rows leave behind when they leave the road. Which rule removes a row is decided by each stage."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.files import atomic_path, exclusive
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet

REJECTIONS = pa.schema([(name, pa.string()) for name in ("stage", "key", "rule", "detail")])
"""One line per row that left: the asset, the row's key there, the rule, and what a person wants to know."""

STAGES = ("occurrences", "clean_occurrences", "photo_index", "photos", "species")
"""The assets that remove rows, in the order of the road."""


def write_rejections(
    paths: Paths,
    stage: str,
    table: pa.Table | Path,
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
) -> Path:
    """Replace the rejections of one stage, then refresh `rejections.parquet`, the union of all stages.

    Args:
        paths: Where the files of the scope lie.
        stage: One of `STAGES`.
        table: Columns key, rule, detail, all strings (castable); a column stage must say `stage` throughout.
            An empty table means that the stage removed nothing. Millions of lines are given as a Parquet file.
        memory_limit: That of `pipeline.query.connect`.
        threads: As `memory_limit`.

    Returns:
        The path of `rejections.parquet`.

    Raises:
        TableError: the stage is unknown, or the table does not have these columns.
    """
    if stage not in STAGES:
        raise TableError(f"unknown stage {stage!r} of rejections; the stages are {', '.join(STAGES)}")
    _require_lines(stage, table)
    union = paths.table("rejections")
    with exclusive(union.parent / ".rejections.lock"):
        lines = paths.rejections_of(stage)
        # Sorted, so that equal contents make equal files.
        to_parquet(
            "rejection_lines",
            inputs={"lines": table},
            output=lines,
            memory_limit=memory_limit,
            threads=threads,
            stage=stage,
        )
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
    found = rows("rejection_counts", inputs={"rejections": paths.rejections_of(stage)})
    return {str(row["rule"]): int(row["lines"]) for row in found}


def counts(paths: Paths) -> dict[str, dict[str, int]]:
    """How many rows each rule removed: stage -> rule -> rows, stages in the order of the road.

    Raises:
        TableError: no stage has written rejections yet.
    """
    found = rows("rejection_counts", inputs={"rejections": paths.table("rejections")})
    by_stage: dict[str, dict[str, int]] = {}
    for stage in STAGES:
        rules = {str(row["rule"]): int(row["lines"]) for row in found if row["stage"] == stage}
        if rules:
            by_stage[stage] = rules
    return by_stage


def _require_lines(stage: str, table: pa.Table | Path) -> None:
    names = pq.read_schema(table).names if isinstance(table, Path) else table.column_names
    missing = {"key", "rule", "detail"} - set(names)
    unknown = set(names) - set(REJECTIONS.names)
    if missing or unknown:
        raise TableError(
            f"rejections of {stage} have the columns {', '.join(names)}; "
            f"wanted key, rule and detail, and at most stage besides"
        )
    if "stage" in names:
        others = {str(row["stage"]) for row in rows("rejection_stages", inputs={"lines": table})} - {stage}
        if others:
            raise TableError(f"rejections of {stage} hold lines of other stages: {sorted(others)}")
