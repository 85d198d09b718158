"""What is known of photographs beside their pixels: the temperature, thresholds and promises of each case.

A version without a prior of place and season, or with too few placed photographs to calibrate one, has the case
`neither` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ml.places.prior import PlacePrior, PriorLook
from ml.places.sites import CASES, Case, Sites
from ml.serving.promise import Judged, Promises, read_judged
from ml.serving.question import Question
from ml.spec import CalibrateResult, PlaceCase
from ml.specificity.joint_thresholds import JointThresholds
from ml.specificity.operating_points import DECIMALS
from ml.specificity.thresholds import ThresholdTable
from ml.taxonomy import Floats

UNITS: Final[Mapping[Case, str]] = {
    "neither": "photographs", "place": "photographs with their place",
    "place_and_date": "photographs with their place and date",
}  # fmt: skip
"""What a promise was measured on."""


class Setting(NamedTuple):
    """What a question means for the photographs of one case, in G groups."""

    thresholds: Floats
    """To 12 decimals. Shape G."""
    promises: list[dict[str, Any]]
    """What is promised to each group, see `ml.serving.promise`. Shape G."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibratedCase:
    """How the photographs of one case are answered."""

    calibration: CalibrateResult
    """The version's, with the temperature and the measurements of this case."""
    thresholds: ThresholdTable
    judged: Mapping[float, Judged] = field(default_factory=dict)
    """How often answers at each tabulated target were right; empty where the version has not kept it."""
    unit: str = UNITS["neither"]
    exponent: float = 0.0
    """Power of the prior where it is composed with the photographs' probabilities, before the temperature."""
    joint: JointThresholds | None = None
    """How several photographs of one organism are answered as one; None in versions that are not calibrated for it."""

    @classmethod
    def of(
        cls, found: PlaceCase, *, calibration: CalibrateResult, exponent: float, thresholds: Path,
        by_target: Path | None, joint: Path | None,
    ) -> Self:  # fmt: skip
        """A case with a place, of the tables that a version carries.

        Raises:
            MlError: a table is damaged.
        """
        own = calibration.model_copy(
            update={
                "temperature": found.temperature, "threshold": found.threshold, "points": found.points,
                "groups": found.groups, "calibration_photos": found.calibration_photos,
                "evaluation_photos": found.evaluation_photos, "evaluation_accuracy": found.judged.accuracy,
                "evaluation_accuracy_low": found.judged.accuracy_low,
                "evaluation_accuracy_high": found.judged.accuracy_high,
            }
        )  # fmt: skip
        unit = UNITS[found.case]
        return cls(
            calibration=own,
            thresholds=ThresholdTable.read(thresholds),
            judged={} if by_target is None else read_judged(by_target, photos=found.evaluation_photos, unit=unit),
            unit=unit,
            exponent=exponent,
            joint=None if joint is None else JointThresholds.read(joint),
        )

    @cached_property
    def promises(self) -> Promises:
        """What may be said about the targets."""
        return Promises(calibration=self.calibration, table=self.thresholds, tabulated=self.judged, unit=self.unit)

    def reaches(self, target: float | None) -> str | None:
        """Why no threshold of the case reaches a target; None where one does, or none was asked for."""
        if target is None:
            return None
        try:
            self.thresholds.row(target)
        except ValueError as error:
            return str(error)
        return None

    def setting(self, question: Question, *, within: str) -> Setting:
        """What a question means for photographs of this case.

        A target that is out of reach is answered at the strictest threshold, and nothing is promised then.

        Args:
            question: What is asked.
            within: The names of the taxa of `Question.within`.
        """
        table, target = self.thresholds, question.target
        if question.threshold is not None:
            thresholds = np.full(len(table.groups), float(question.threshold))
        else:
            # What was calibrated is served even where it stayed out of reach: with the threshold 1.
            target = self.calibration.target if target is None else target
            row = table.position(target)
            thresholds = table.of_groups(row) if row < len(table.targets) else np.ones(len(table.groups))
        thresholds = np.round(thresholds, DECIMALS)
        promises = [
            self.promises.of(
                target, group, threshold=float(threshold), within=within, region=question.region is not None
            )
            for group, threshold in enumerate(thresholds)
        ]
        return Setting(thresholds, promises)


class Placed(NamedTuple):
    """What is known of N photographs beside their pixels, as far as it tells something."""

    cases: npt.NDArray[np.intp]
    """The case that each is answered in: a position in `CASES`. Shape N."""
    look: PriorLook | None
    """What the prior says of their places; None where it was not asked."""

    def case(self, row: int) -> Case:
        """The case of one photograph."""
        return CASES[int(self.cases[row])]


def placed(sites: Sites | None, photos: int, *, prior: PlacePrior | None, calibrated: Mapping[Case, Any]) -> Placed:
    """The case of each photograph, and what the prior says of it.

    A place that is far from everything known, or in a case that was not calibrated, tells nothing.

    Args:
        sites: Of the photographs; None: nothing is known of any.
        photos: How many there are.
        prior: The version's, if it has one.
        calibrated: The cases of the version, by name.
    """
    cases = np.zeros(photos, dtype=np.intp)
    if prior is None or sites is None or not sites.placed.any() or not calibrated.keys() & {"place", "place_and_date"}:
        return Placed(cases, None)
    dated = sites.dated & ("place_and_date" in calibrated)
    # A date that was not calibrated must not change anything.
    look = prior.look(sites._replace(day=np.where(dated, sites.day, np.nan)))
    if "place" in calibrated:
        cases[look.known] = CASES.index("place")
    cases[look.known & dated] = CASES.index("place_and_date")
    return Placed(cases, look)


def read_cases(
    artifacts: Mapping[str, str], *, calibration: CalibrateResult, prior: PlacePrior | None
) -> dict[Case, CalibratedCase]:
    """The cases with a place that a version carries; none in versions that know no places.

    Args:
        artifacts: Paths by name: `thresholds_CASE`, `by_target_CASE` and `joint_CASE` of each case.
        calibration: Of the version.
        prior: Of the version, if it has one.

    Raises:
        MlError: a table is damaged.
    """
    if prior is None:
        return {}

    def path(name: str) -> Path | None:
        return Path(artifacts[name]) if name in artifacts else None

    return {
        found.case: CalibratedCase.of(
            found, calibration=calibration, exponent=prior.settings.exponent, thresholds=thresholds,
            by_target=path(f"by_target_{found.case}"), joint=path(f"joint_{found.case}"),
        )
        for found in calibration.place_cases
        if (thresholds := path(f"thresholds_{found.case}")) is not None
    }  # fmt: skip
