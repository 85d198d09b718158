"""The thresholds that a model travels with: one per target accuracy and group, looked up without interpolation.

How they are learnt belongs to `ml.specificity.thresholds`. Light enough for serving.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.files import replacing
from ml.specificity.answers import Candidates
from ml.specificity.operating_points import DECIMALS, Floats
from ml.taxonomy import Integers


@dataclass(frozen=True, eq=False, kw_only=True)
class ThresholdTable:
    """K targets x G groups; the first group is the root: every photograph that is in no other."""

    targets: Floats
    """Accuracies, rising. Shape K."""
    groups: Integers
    """Node ids, all of one depth but for the root, which comes first. Shape G."""
    group_depth: int
    """Depth of the groups: a photograph's group is its most probable node there; 0 without groups."""
    thresholds: Floats
    """Shape K x G."""
    reachable: npt.NDArray[np.bool_]
    """Whether the target is met on the photographs that chose (with a guarantee: is promised). Shape K x G."""

    def position(self, target: float) -> int:
        """The entry of the lowest tabulated target that is at least `target`, reached or not; K where none is."""
        return int(np.searchsorted(self.targets, round(target, DECIMALS)))

    def row(self, target: float) -> int:
        """The entry of the lowest tabulated target that is at least `target`.

        Raises:
            ValueError: no tabulated target is so high, or no threshold reaches it in any group.
        """
        position = self.position(target)
        if position < len(self.targets) and self.reachable[position].any():
            return position
        usable = self.targets[self.reachable.any(axis=1)]
        most = f"the most is {usable[-1]:.1%}" if len(usable) else "nor any other"
        raise ValueError(f"no threshold of this model reaches an accuracy of {target:.1%}; {most}")

    def of_groups(self, row: int) -> Floats:
        """The threshold of each group in one row. Shape G."""
        thresholds: Floats = self.thresholds[row]
        return thresholds

    def group_of(self, found: Candidates) -> npt.NDArray[np.intp]:
        """Each photograph's position among the groups. Shape N."""
        nodes = found.node_ids[:, self.group_depth]
        same = nodes[:, None] == self.groups[None, 1:]
        return np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0) if same.size else np.zeros(len(nodes), dtype=int)

    def write(self, path: Path, *, keys: Mapping[int, str | None]) -> Path:
        """Write `thresholds.parquet` atomically, a row per target and group; `keys` are the groups' taxon keys."""
        rows = [
            {
                "target": float(target),
                "group_node_id": int(node),
                "group_taxon_key": keys[int(node)],
                "threshold": float(self.thresholds[row, column]),
                "reachable": bool(self.reachable[row, column]),
            }
            for row, target in enumerate(self.targets)
            for column, node in enumerate(self.groups)
        ]
        facts = {"group_depth": str(self.group_depth)}
        with replacing(path) as partial:
            pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(facts), partial, compression="zstd")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: the file is missing, damaged, or not a table of thresholds.
        """
        try:
            table = pq.read_table(path)
            targets, groups = np.unique(table["target"].to_numpy()), np.unique(table["group_node_id"].to_numpy())
            shape = (len(targets), len(groups))
            return cls(
                targets=targets,
                groups=groups.astype(np.int32),
                group_depth=int((table.schema.metadata or {})[b"group_depth"]),
                thresholds=table["threshold"].to_numpy().reshape(shape),
                reachable=table["reachable"].to_numpy(zero_copy_only=False).reshape(shape),
            )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{path} is not a table of thresholds ({error}); run the calibration again") from error
