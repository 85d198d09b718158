"""The operating curve of a classifier: what each threshold costs and yields, as arrays and as a file.

`ml.specificity.answers.curve_of` computes a curve; `ml.spec.OperatingPoint` is one point of it, or of a table of
thresholds per group.
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
from ml.evaluation.reliability import clopper_pearson
from ml.files import replacing
from ml.spec import OperatingPoint, Reward
from ml.taxonomy import Floats

DECIMALS = 12
"""Probabilities and thresholds are compared to so many decimals: the order of a sum must not decide an answer."""
_COLUMNS = ("threshold", "accuracy", "depth", "abstention", "information")


@dataclass(frozen=True, kw_only=True)
class OperatingCurve:
    """What each threshold does: one entry per threshold at which any answer changes, falling from 1.

    The values of an entry hold from its threshold down to, and without, the next.
    """

    threshold: Floats
    accuracy: Floats
    """Share of photographs whose answer is the true species or an ancestor of it; the root always is."""
    depth: Floats
    """Mean depth of the answers: root 0, kingdom 1, ... species 7."""
    abstention: Floats
    """Share of photographs answered with the root."""
    information: Floats
    """Mean information gain of the answers in bits: root 0, a species log2 of the number of species."""
    photos: int

    def write(self, path: Path, *, facts: Mapping[str, str] | None = None) -> Path:
        """Write `operating_curve.parquet` atomically, with `facts` in its metadata, and return `path`."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        metadata = {"photos": str(self.photos), **(facts or {})}
        with replacing(path) as partial:
            pq.write_table(pa.table(columns).replace_schema_metadata(metadata), partial, compression="zstd")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: the file is missing, damaged, or not an operating curve.
        """
        try:
            table = pq.read_table(path)
            photos = int((table.schema.metadata or {})[b"photos"])
            return cls(photos=photos, **{name: table[name].to_numpy() for name in _COLUMNS})
        except (OSError, KeyError, pa.ArrowException) as error:
            raise DataError(f"{path} is not an operating curve ({error}); run the calibration again") from error

    def at(self, threshold: float) -> int:
        """The entry that holds at `threshold`."""
        return int(self.entries(np.array([threshold]))[0])

    def entries(self, thresholds: Floats) -> npt.NDArray[np.intp]:
        """The entries that hold at `thresholds`. Shape: as `thresholds`."""
        found = np.searchsorted(-self.threshold, -np.round(thresholds, DECIMALS), side="right") - 1
        return np.maximum(found, 0)

    def choose(self, target: float, reward: Reward = "depth") -> int:
        """The entry with the highest reward among those with at least the accuracy `target`; entry 0 when none has it.

        Args:
            target: Accuracy wanted.
            reward: `depth`, or `information`; above a threshold of 0.5 both mean the lowest threshold.
        """
        enough = np.flatnonzero(self.accuracy >= target)
        if not len(enough):
            return 0
        rewards = (self.depth if reward == "depth" else self.information)[enough]
        # The last of equals: the lower threshold.
        return int(enough[len(enough) - 1 - int(rewards[::-1].argmax())])

    def point(self, threshold: float, *, target: float) -> OperatingPoint:
        """What `threshold`, chosen for the accuracy `target`, does on the photographs of this curve."""
        entry = self.at(threshold)
        accuracy = float(self.accuracy[entry])
        low, high = clopper_pearson(round(accuracy * self.photos), self.photos)
        return OperatingPoint(
            target=target,
            threshold=threshold,
            reachable=bool((self.accuracy >= target).any()),
            accuracy=accuracy,
            accuracy_low=low,
            accuracy_high=high,
            depth=float(self.depth[entry]),
            abstention=float(self.abstention[entry]),
            information=float(self.information[entry]),
            photos=self.photos,
        )
