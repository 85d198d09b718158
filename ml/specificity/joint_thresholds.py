"""Thresholds for several photographs of one organism that are answered as one; they travel with the model.

What holds of single photographs does not hold of sets: joined evidence is surer, and how much surer depends on how
alike photographs of one organism are. So each size of set has a table of thresholds of its own, chosen on sets of the
calibration half and judged on sets of the evaluation half.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Self, cast

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.files import replacing
from ml.spec import OperatingPoint
from ml.specificity.photo_sets import Basis
from ml.specificity.thresholds import ThresholdTable, read_columns

JOINT_FILE = "joint.parquet"
_JUDGED = ("accuracy", "accuracy_low", "accuracy_high", "depth", "abstention", "guaranteed")


@dataclass(frozen=True, eq=False, kw_only=True)
class SetThresholds:
    """What was learnt from sets of one size."""

    photos: int
    """Photographs in a set; the greatest size stands for more of them, too."""
    table: ThresholdTable
    points: tuple[OperatingPoint, ...]
    """What each target of the table is worth on sets of the evaluation half; `photos` counts these sets. Length K."""
    chosen_on: int
    """Sets that chose."""

    def point(self, target: float) -> OperatingPoint | None:
        """What the lowest tabulated target that is at least `target` is worth; None where none is so high."""
        position = self.table.position(target)
        return self.points[position] if position < len(self.points) else None


@dataclass(frozen=True, eq=False, kw_only=True)
class JointThresholds:
    """How photographs of one organism are joined, and what is promised about sets of 2, 3, ... photographs."""

    dependence: float
    """Of two photographs of one organism, see `ml.specificity.pooling`."""
    basis: Basis
    """What the photographs of the sets had in common that this was learnt from: an observation, or just the species."""
    sizes: tuple[SetThresholds, ...]
    """From 2 photographs on, without gaps; at least one."""

    def fitting(self, photos: int, target: float | None = None) -> SetThresholds | None:
        """The greatest size up to `photos` that reaches a target in any group.

        Args:
            photos: At least 2.
            target: Accuracy wanted; None: it does not matter.

        Returns:
            None where no size reaches the target.
        """
        for size in reversed(self.sizes):
            if size.photos <= photos and (target is None or self._reaches(size.table, target)):
                return size
        return None

    @staticmethod
    def _reaches(table: ThresholdTable, target: float) -> bool:
        position = table.position(target)
        return position < len(table.targets) and bool(table.reachable[position].any())

    def write(self, path: Path, *, keys: Mapping[int, str | None]) -> Path:
        """Write `joint.parquet` atomically, a row per size, target and group; `keys` are the groups' taxon keys."""
        rows = []
        for size in self.sizes:
            judged = {point.target: {name: getattr(point, name) for name in _JUDGED} for point in size.points}
            facts = {"chosen_on": size.chosen_on, "judged_on": size.points[0].photos}
            rows += [
                {"photos": size.photos, **row, **judged[cast("float", row["target"])], **facts}
                for row in size.table.rows(keys=keys)
            ]
        metadata = {"dependence": repr(self.dependence), "basis": self.basis, **self.sizes[0].table.facts}
        with replacing(path) as partial:
            pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), partial, compression="zstd")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: the file is missing, damaged, or not a table of thresholds for sets of photographs.
        """
        try:
            columns, facts = read_columns(path)
            basis = facts[b"basis"].decode()
            if basis not in {"observation", "species"}:
                raise ValueError(f"sets have no basis {basis!r}")  # noqa: TRY301 (one message for all damage)
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            sizes = [list(rows) for _, rows in itertools.groupby(rows, key=itemgetter("photos"))]
            return cls(
                dependence=float(facts[b"dependence"]),
                basis=cast("Basis", basis),
                sizes=tuple(_size_of(rows, facts) for rows in sizes),
            )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise DataError(
                f"{path} is not a table of thresholds for several photographs ({error}); run the calibration again"
            ) from error


def _size_of(rows: Sequence[Mapping[str, Any]], facts: Mapping[bytes, bytes]) -> SetThresholds:
    """The rows of one size, as they were written: target by target, and in each group by group."""
    table = ThresholdTable.of_columns({name: [row[name] for row in rows] for name in rows[0]}, facts)
    points = tuple(
        OperatingPoint(
            target=row["target"], threshold=row["threshold"], reachable=bool(reachable.all()), photos=row["judged_on"],
            **{name: row[name] for name in _JUDGED},
        )
        for row, reachable in zip(rows[:: len(table.groups)], table.reachable, strict=True)
    )  # fmt: skip
    return SetThresholds(photos=rows[0]["photos"], table=table, points=points, chosen_on=rows[0]["chosen_on"])
