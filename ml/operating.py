"""The operating curve of a classifier: what each threshold costs and yields, and how it is kept in a file.

How a curve comes about belongs to `ml.specificity`. Light enough to travel with a served model.
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

Floats = npt.NDArray[np.float64]

DECIMALS = 12
"""Probabilities and thresholds are compared to so many decimals: the order of a sum must not decide an answer."""
_COLUMNS = ("threshold", "accuracy", "depth", "abstention")


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
    photos: int

    def write(self, path: Path, *, facts: Mapping[str, str] | None = None) -> Path:
        """Write `operating_curve.parquet` atomically, with `facts` in its metadata, and return `path`."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        metadata = {"photos": str(self.photos), **(facts or {})}
        partial = path.with_name(f".{path.name}.partial")
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), partial, compression="zstd")
        partial.replace(path)
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
        falling = -self.threshold
        return max(int(np.searchsorted(falling, -round(threshold, DECIMALS), side="right")) - 1, 0)

    def choose(self, target: float) -> int:
        """The deepest entry with at least the accuracy `target`; entry 0 when none has it."""
        enough = np.flatnonzero(self.accuracy >= target)
        return int(enough[-1]) if len(enough) else 0
