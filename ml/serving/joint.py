"""Several photographs of one organism, answered as one: their evidence joined, and what is promised about such answers.

How evidence is joined is in `ml.specificity.pooling`; the thresholds for so many photographs are the version's own
(`ml.specificity.joint_thresholds`), since those of single photographs would not hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.places.sites import Case, Sites
from ml.serving.answering import Answering, Looks, Plan
from ml.serving.cases import UNITS, CalibratedCase, Setting, placed
from ml.serving.explanation import percent
from ml.serving.place_effect import NAMES
from ml.serving.promise import Judged, Promises
from ml.serving.shared_place import KIND as PLACE_KIND
from ml.serving.shared_place import shared_place
from ml.spec import OperatingPoint
from ml.specificity.joint_thresholds import SetThresholds
from ml.specificity.operating_points import DECIMALS
from ml.specificity.pooling import pool
from ml.specificity.temperature import temper
from ml.specificity.thresholds import ThresholdTable
from ml.taxonomy import Floats

KIND: Final = "joint"
"""Of the warnings about answers to several photographs."""
INDIVIDUALS: Final = (
    "this version was calibrated with photographs of different individuals of one species: photographs of one organism "
    "are more alike, so that the answer is surer of itself than it should be"
)
"""What must be known where the calibration had no photographs of one organism."""


class Joined(NamedTuple):
    """The evidence of several photographs, and the thresholds that fit it."""

    probabilities: Floats
    """Of species, calibrated. Shape 1 x classes."""
    size: SetThresholds | None
    """What was learnt of sets of so many photographs; None: nothing is promised about them."""
    warning: str | None
    """What must be known about the answer."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SetPromises(Promises):
    """What may be said about answers to several photographs: what was measured on sets of them, and nothing else."""

    individuals: bool
    """Whether the photographs of a set were of different individuals: then nothing is promised about one organism."""

    @cached_property
    def judged(self) -> dict[float, Judged]:
        """What each tabulated target gave."""
        return dict(self.tabulated)

    def of(self, target: float | None, group: int, *, threshold: float, within: str, region: bool) -> dict[str, Any]:
        """What is promised to the sets of a group; see `ml.serving.promise.Promises.of`."""
        promise = super().of(target, group, threshold=threshold, within=within, region=region)
        if not self.individuals or not promise["kept"]:
            return promise
        text = f"nothing is promised about one organism: {promise['text']}"
        return {**promise, "kept": None, "text": text}


def answer_together(
    answering: Answering, looks: Looks, plan: Plan, sites: Sites | None = None
) -> dict[str, Any]:  # fmt: skip
    """One answer about an organism, from all photographs of it.

    Watched taxa raise their alarm by the joint evidence. The novelty is that of the photograph that looks least unlike
    the known species: an alarm at `known <= 0.05` then stays false for at most 5 % of the organisms of known species,
    however alike their photographs are. What the organism's place and season say counts once, however many photographs
    there are of it.

    Args:
        answering: The model version.
        looks: What its network makes of M >= 1 photographs of one organism.
        plan: What is asked.
        sites: Where and when each was taken; None: nothing is known of that.

    Returns:
        An answer as `Answering.answers` gives it of one photograph; the caller adds `photo`, the organism's name, and
        `photos`. Of several photographs it has `thresholds`, too, for their group and their number: `targets`, those of
        the version's table, `thresholds`, and `reachable`, false where nothing is promised. `embedding` is the mean of
        the photographs'. Where less is promised than about one photograph, `warnings` has an entry of the kind `joint`;
        where the photographs' places are too far apart, one of the kind `place`.
    """
    if len(looks.probabilities) == 1:
        return answering.answers(looks, plan, sites)[0]
    site, apart = (None, None) if sites is None else shared_place(sites)
    case = placed(site, 1, prior=answering.prior, calibrated=answering.cases).case(0)
    known: tuple[Case, ...] = ("neither",) if case == "neither" else ("neither", case)
    joined = {each: join(answering, looks.probabilities, target=plan.target, case=each) for each in known}
    pooled = _pooled(answering, joined)
    asked = _plan(answering, plan, joined, pooled=pooled, photos=len(looks.probabilities))
    chosen = pooled.choose(joined[case].probabilities, asked, site)
    # Alarms read what the photographs alone say, at the temperature that they were calibrated at.
    chosen = chosen._replace(tempered=joined["neither"].probabilities)
    (answer,) = pooled.told(chosen, looks.embeddings[[_least_unlike(answering, looks)]], asked, site)
    if plan.embedding:
        answer["embedding"] = looks.embeddings.mean(axis=0).tolist()
    table, warning = pooled.cases[case].thresholds, joined[case].warning
    promised = table.reachable[:, answer["group"]] & (warning is None)
    answer["thresholds"] = {
        "targets": table.targets.tolist(),
        "thresholds": table.thresholds[:, answer["group"]].tolist(),
        "reachable": promised.tolist(),
    }
    said = ((PLACE_KIND, apart), (KIND, warning))
    answer["warnings"] += [{"kind": kind, "text": text} for kind, text in said if text is not None]
    return answer


def join(answering: Answering, probabilities: Floats, *, target: float | None, case: Case = "neither") -> Joined:
    """Join the evidence of photographs of one organism as the version was calibrated for.

    Where no size of set reaches the target, or the version knows nothing of sets, the probabilities are averaged:
    that never makes evidence surer than it was.

    Args:
        answering: The model version.
        probabilities: Of M > 1 photographs, before any temperature. Shape M x classes.
        target: Accuracy wanted; None: a threshold was asked for.
        case: What is known of the organism; its place is composed with what is joined, afterwards.
    """
    own = answering.cases[case]
    tempered, joint = temper(probabilities, own.calibration.temperature), own.joint
    size = None if joint is None else joint.fitting(len(tempered), target)
    known = "" if case == "neither" else f" with {NAMES[case]}"
    if joint is None or size is None:
        why = (
            f"this version was not calibrated for several photographs of one organism{known}"
            if joint is None
            else f"no threshold of this version is known to reach {percent(target or 0)} for several photographs{known}"
        )
        text = f"{why}: their probabilities are averaged, and nothing is promised"
        return Joined(tempered.mean(axis=0, keepdims=True), None, text)
    pooled = pool(tempered[None], dependence=joint.dependence, most=size.photos)
    return Joined(pooled, size, None if joint.basis == "observation" else INDIVIDUALS)


def _pooled(answering: Answering, joined: Mapping[Case, Joined]) -> Answering:
    """The version as it answers about joint evidence, which is calibrated already."""
    cases = {}
    for case, found in joined.items():
        own = answering.cases[case]
        cases[case] = replace(
            own,
            calibration=own.calibration.model_copy(update={"temperature": 1.0}),
            thresholds=own.thresholds if found.size is None else found.size.table,
            # What tempers a composed distribution tempers the prior, too.
            exponent=own.exponent / own.calibration.temperature,
        )
    alone = cases.pop("neither")
    return replace(answering, thresholds=alone.thresholds, calibration=alone.calibration, place_cases=cases)


def _plan(
    answering: Answering, plan: Plan, joined: Mapping[Case, Joined], *, pooled: Answering, photos: int
) -> Plan:  # fmt: skip
    """The same question with the thresholds and the promises for so many photographs."""
    settings = {}
    for case, found in joined.items():
        thresholds = _thresholds(plan, case, pooled.cases[case].thresholds, single=found.size is None)
        if found.size is None:
            known = "" if case == "neither" else f" with {NAMES[case]}"
            text = f"nothing is promised about {photos} photographs of one organism{known}"
            nothing = {"target": plan.target, "accuracy": None, "accuracy_low": None, "accuracy_high": None}
            settings[case] = Setting(thresholds, [{**nothing, "kept": None, "text": text}] * len(thresholds))
            continue
        promises = _promises(answering.cases[case], found.size)
        names = " or ".join(answering.taxonomy.name[node] for node in plan.within)
        said = [
            promises.of(plan.target, group, threshold=float(threshold), within=names, region=plan.region)
            for group, threshold in enumerate(thresholds)
        ]
        settings[case] = Setting(thresholds, said)
    return replace(plan, settings=settings)


def _thresholds(plan: Plan, case: Case, table: ThresholdTable, *, single: bool) -> Floats:
    """The threshold of each group; `single`: that of one photograph."""
    own = plan.settings[case].thresholds
    if plan.target is None:
        return np.full(len(table.groups), own[0])
    thresholds: Floats = own if single else np.round(table.of_groups(table.position(plan.target)), DECIMALS)
    return thresholds


def _promises(own: CalibratedCase, size: SetThresholds) -> SetPromises:
    """What was measured on sets of one size."""
    assert own.joint is not None  # noqa: S101 (there is a size of it)
    individuals = own.joint.basis == "species"
    whose = "different individuals" if individuals else "one observation"
    known = own.unit.removeprefix(UNITS["neither"])
    unit = f"sets of {size.photos} photographs of {whose}{known}"
    return SetPromises(
        calibration=own.calibration.model_copy(update={"points": size.points, "groups": ()}),
        table=size.table,
        individuals=individuals,
        tabulated={point.target: _judged(point, unit) for point in size.points},
    )


def _judged(point: OperatingPoint, unit: str) -> Judged:
    return Judged(point.accuracy, point.accuracy_low, point.accuracy_high, point.photos, unit=unit)


def _least_unlike(answering: Answering, looks: Looks) -> int:
    """The position of the photograph that looks most like a known species."""
    if answering.novelty is None:
        return 0
    distances: npt.NDArray[np.floating] = answering.novelty.prototypes.distances(looks.embeddings)
    return int(distances.argmin())
