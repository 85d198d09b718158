"""Which photographs are in the exam: validation observations, chosen once and for good. What is asked is not here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, TypeAdapter

from ml.spec import problem_of
from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.paths import Paths
from pipeline.query import connect, copy, to_parquet
from pipeline.tables import CONTRACTS

RENAMES: Final = pa.schema(
    [(name, pa.string()) for name in ("old_checklist_key", "old_taxon_key", "checklist_key", "taxon_key")]
)
"""Columns of `renames.parquet`."""
SPLITS: Final = pa.schema(
    [(name, pa.string()) for name in ("checklist_key", "taxon_key", "part_checklist_key", "part_taxon_key")]
)
"""Columns of `splits.parquet`."""
_NOBODY: Final = CONTRACTS["clean_occurrences"].schema.empty_table()
"""Stands for the occurrences where no way of drawing the sides asks who recorded them."""
_SPLITS: Final = b"naturewatch.splits"
"""Key of the table's metadata: every way in which the sides were drawn while there has been an exam, as JSON."""


class DrawnSides(BaseModel):
    """How training and validation are told apart: what `split.sql` reads of the configuration."""

    model_config = ConfigDict(frozen=True)

    unit: str
    seed: str
    validation: float

    @classmethod
    def of(cls, settings: Settings) -> "DrawnSides":
        """The configured way."""
        split = settings.split
        return cls(unit=split.unit, seed=str(split.seed), validation=split.validation)


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What was written."""

    table: Path
    version: int
    """Rises when photographs are added; 0 while there are none."""
    photos: int
    """Photographs that are shown to model versions."""
    observations: int
    species: int
    added: int
    """Photographs that this version added."""
    withdrawn: dict[str, int]
    """Why photographs of the exam are not shown at present: rule -> photographs."""
    redrawn: bool
    """Whether the sides were drawn in another way than last time: photographs that were on the training side under any
    of the ways are not shown."""


def build_exam(paths: Paths, settings: Settings) -> Exam:
    """Write `exam.parquet`, the last version of it with what has come on top; renames and splits beside the answers.

    Args:
        paths: The paths of the scope.
        settings: `exam.observations_per_species`, and the section `split`.

    Raises:
        TableError: a table is missing, or the last exam was written by other code.
    """
    output = paths.table("exam")
    last, splits = _last(output)
    present = DrawnSides.of(settings)
    redrawn = bool(splits) and present not in splits
    splits = splits if present in splits else [*splits, present]
    inputs = {
        "exam": last,
        "split": paths.table("split"),
        "clean_occurrences": paths.table("clean_occurrences") if _by_observer(splits) else _NOBODY,
        "taxonomy": paths.table("taxonomy"),
        "rejections": paths.table("rejections"),
        "splits": pa.Table.from_pylist([each.model_dump() for each in splits]),
    }
    with connect(inputs=inputs) as connection:
        copy(
            connection,
            "exam",
            output=output,
            metadata={_SPLITS.decode(): TypeAdapter(list[DrawnSides]).dump_json(splits).decode()},
            observations=settings.exam.observations_per_species,
        )
    for name, kept, schema in (("renames", paths.exam_renames, RENAMES), ("splits", paths.exam_splits, SPLITS)):
        to_parquet(
            f"exam_{name}",
            inputs={
                name: kept if kept.exists() else schema.empty_table(),
                "class_map": paths.table("class_map"),
                "taxonomy": paths.table("taxonomy"),
            },
            output=kept,
        )
    return _described(output, before=last.num_rows, redrawn=redrawn)


def exam_version(table: Path) -> int:
    """The version of the exam in a file: the number of the last addition, 0 for an exam without rows.

    Raises:
        TableError: the file is missing.
    """
    if not table.exists():
        raise TableError(f"the table exam is missing: {table}; materialise the asset exam")
    return max(pq.read_table(table, columns=["since"])["since"].to_pylist(), default=0)


def _by_observer(splits: list[DrawnSides]) -> bool:
    return any(each.unit == "observer" for each in splits)


def _last(path: Path) -> tuple[pa.Table, list[DrawnSides]]:
    """The last version of the exam, and how the sides were drawn so far; empty where there is none."""
    schema = CONTRACTS["exam"].schema
    if not path.exists():
        return schema.empty_table(), []
    try:
        table = pq.read_table(path)
        splits = TypeAdapter(list[DrawnSides]).validate_json((table.schema.metadata or {})[_SPLITS])
        return table.select(schema.names).cast(schema), splits
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        problem = problem_of(error) if isinstance(error, OSError) else "other code wrote it, or it is damaged"
        raise TableError(
            f"cannot go on with the exam {path}: {problem}; restore it from a copy, or move it away to begin a new exam"
        ) from error


def _described(table: Path, *, before: int, redrawn: bool) -> Exam:
    rows = pq.read_table(table, columns=["observation_id", "species_key", "withdrawn"]).to_pylist()
    shown = [row for row in rows if row["withdrawn"] is None]
    rules = [row["withdrawn"] for row in rows if row["withdrawn"] is not None]
    return Exam(
        table=table,
        version=exam_version(table),
        photos=len(shown),
        observations=len({row["observation_id"] for row in shown}),
        species=len({row["species_key"] for row in shown}),
        added=len(rows) - before,
        withdrawn={rule: rules.count(rule) for rule in sorted(set(rules))},
        redrawn=redrawn,
    )
