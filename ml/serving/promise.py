"""What is promised of an answer, in words: how often answers at this setting are right, and how that was measured.

The thresholds of a target are chosen on one half of the validation side and judged on the other
(`ml.specificity.thresholds`): the measured accuracy is that of photographs that did not choose. It speaks of
photographs like those, whole ones, of any taxon.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.serving.explanation import percent
from ml.spec import CalibrateResult
from ml.specificity.thresholds import ThresholdTable

DENOMINATORS: Final = (10, 20, 100, 1000)
"""In words a share is so many times in one of these."""


class Judged(NamedTuple):
    """How often answers were right on photographs that did not choose the thresholds."""

    accuracy: float
    low: float | None
    """Lower end of the 95 % interval; None where only the accuracy was kept."""
    high: float | None
    photos: int
    of: str | None = None
    """The taxon that the photographs were taken for; None: all photographs."""
    unit: str = "photographs"
    """What was counted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Promises:
    """What a version's calibration lets be said about its targets."""

    calibration: CalibrateResult
    table: ThresholdTable
    tabulated: Mapping[float, Judged] = field(default_factory=dict)
    """What each target of the table gave, where the version has kept it."""
    unit: str = "photographs"
    """What was counted."""

    @cached_property
    def judged(self) -> Mapping[float, Judged]:
        """What is known about targets, by target: the tabulated ones, and better, where reported, with intervals."""
        own, photos = self.calibration, self.calibration.evaluation_photos
        reported = {
            point.target: Judged(point.accuracy, point.accuracy_low, point.accuracy_high, photos, unit=self.unit)
            for point in own.points
        }
        at_own = Judged(
            own.evaluation_accuracy, own.evaluation_accuracy_low, own.evaluation_accuracy_high, photos, unit=self.unit
        )
        return {**self.tabulated, **reported, own.target: at_own}

    def of(self, target: float | None, group: int, *, threshold: float, within: str, region: bool) -> dict[str, Any]:
        """What is promised to the photographs of a group.

        Args:
            target: The accuracy that is asked for; None: a threshold was.
            group: Position in the table of thresholds.
            threshold: The one that was used.
            within: The taxa that the photographs are said to lie in; empty: any.
            region: Whether a part of the photograph was marked.

        Returns:
            `target`; `accuracy`, `accuracy_low` and `accuracy_high`, as measured, or None; `kept`: whether the measured
            accuracy allows the target (None: nothing is promised, or nothing was measured); `text`: in words.
        """
        if target is None:
            off = percent(self.calibration.calibration_error, decimals=1)
            text = (
                f"nothing is promised: a probability of {percent(threshold)} was asked for, not an accuracy (this "
                f"version's probabilities are off by {off} on average)"
            )
            return _promise(None, None, kept=None, text=text)
        words, row = f"right {times(target)}", self.table.position(target)
        judged = self._judged(target, group)
        if row >= len(self.table.targets) or not self.table.reachable[row, group]:
            text = f"nothing is promised: no threshold of this version is known to be {words}{_for(judged)}"
            return _promise(target, judged, kept=False, text=f"{text} ({_measured(judged)} at the strictest)")
        if within or region:
            how = " and ".join(["without a filter"] * bool(within) + ["on whole photographs"] * region)
            of = " and ".join([f"within {within}"] * bool(within) + ["of a region"] * region)
            text = f"set to be {words}, which was measured {how}: nothing is promised {of}"
            return _promise(target, None, kept=None, text=text)
        return self._measured(target, judged, words=words)

    def _measured(self, target: float, judged: Judged | None, *, words: str) -> dict[str, Any]:
        """What is promised of whole photographs of any taxon, by what was measured on such."""
        here, kept = f"{words} at this setting", None
        if judged is None:
            text = f"{here}, on the photographs that chose it (this version kept no other measure)"
        elif judged.high is None:
            text = f"{here} ({_measured(judged)} that did not choose it)"
        elif judged.high < target:
            kept = False
            text = f"nothing is promised: meant to be {words}, but {_measured(judged)} that did not choose the setting"
        else:
            kept = True
            # What may lie below the target by chance breaks no promise, nor does it prove one.
            doubt = "" if judged.accuracy >= target else ": too few to tell the two apart"
            text = f"{here}{self._sure()} ({_measured(judged)} that did not choose it{doubt})"
        return _promise(target, judged, kept=kept, text=text)

    def _judged(self, target: float, group: int) -> Judged | None:
        """What was measured for the group, or for all photographs, at the tabulated target that serves `target`."""
        if target == self.calibration.target and group < len(self.calibration.groups):
            point = self.calibration.groups[group]
            if point.accuracy is not None:
                of = "no other group" if group == 0 else point.taxon
                return Judged(
                    point.accuracy, point.accuracy_low, point.accuracy_high, point.evaluation_photos, of, self.unit
                )
        row = self.table.position(target)
        served = float(self.table.targets[row]) if row < len(self.table.targets) else target
        return self.judged.get(served)

    def _sure(self) -> str:
        if self.calibration.delta is None or not any(point.guaranteed for point in self.calibration.points):
            return ""
        return f" with {percent(1 - self.calibration.delta)} confidence"


def times(share: float) -> str:
    """A share in words: `9 times in 10`."""
    for denominator in DENOMINATORS:
        count = round(share * denominator)
        if abs(share * denominator - count) < 1e-9:
            return f"{count:,} times in {denominator:,}"
    return f"{100 * share:.4g} % of the time"


def _promise(target: float | None, judged: Judged | None, *, kept: bool | None, text: str) -> dict[str, Any]:
    return {
        "target": target,
        "accuracy": None if judged is None else judged.accuracy,
        "accuracy_low": None if judged is None else judged.low,
        "accuracy_high": None if judged is None else judged.high,
        "kept": kept,
        "text": text,
    }


def _for(judged: Judged | None) -> str:
    return "" if judged is None or judged.of is None else f" for photographs taken for {judged.of}"


def _measured(judged: Judged | None) -> str:
    if judged is None:
        return "never measured"
    between = "" if judged.low is None or judged.high is None else f" {_range(judged.low, judged.high)},"
    of = "" if judged.of is None else f" taken for {judged.of}"
    return f"measured {percent(judged.accuracy)},{between} on {judged.photos:,} {judged.unit}{of}"


def _range(low: float, high: float) -> str:
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"


def read_judged(path: Path, *, photos: int, unit: str = "photographs") -> dict[float, Judged]:
    """The rows of the artifact `by_target`, by target, measured on so many of `unit`.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        rows = pq.ParquetFile(path).read().to_pylist()
        return {
            row["target"]: Judged(row["accuracy"], row.get("accuracy_low"), row.get("accuracy_high"), photos, unit=unit)
            for row in rows
        }
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DataError(f"{path} is not a table of targets ({error}); run the calibration again") from error
