"""Several photographs of one organism, answered as one: their evidence joined, and what is promised about such answers.

How evidence is joined is in `ml.specificity.pooling`; the thresholds for so many photographs are the version's own
(`ml.specificity.joint_thresholds`), since those of single photographs would not hold.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.serving.answering import Answering, Looks, Plan
from ml.serving.explanation import percent
from ml.serving.promise import Judged, Promises
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


def answer_together(answering: Answering, looks: Looks, plan: Plan) -> dict[str, Any]:
    """One answer about an organism, from all photographs of it.

    Watched taxa raise their alarm by the joint evidence. The novelty is that of the photograph that looks least unlike
    the known species: an alarm at `known <= 0.05` then stays false for at most 5 % of the organisms of known species,
    however alike their photographs are.

    Args:
        answering: The model version.
        looks: What its network makes of M >= 1 photographs of one organism.
        plan: What is asked.

    Returns:
        An answer as `Answering.answers` gives it of one photograph; the caller adds `photo`, the organism's name, and
        `photos`. Of several photographs it has `thresholds`, too, for their group and their number: `targets`, those of
        the version's table, `thresholds`, and `reachable`, false where nothing is promised. `embedding` is the mean of
        the photographs'. Where less is promised than about one photograph, `warnings` has an entry of the kind `joint`.
    """
    if len(looks.probabilities) == 1:
        return answering.answers(looks, plan)[0]
    joined = join(answering, looks.probabilities, target=plan.target)
    table = answering.thresholds if joined.size is None else joined.size.table
    calibrated = replace(
        answering, thresholds=table, calibration=answering.calibration.model_copy(update={"temperature": 1.0})
    )
    least_unlike = looks.embeddings[[_least_unlike(answering, looks)]]
    (answer,) = calibrated.answers(
        Looks(joined.probabilities, least_unlike), _plan(answering, plan, joined, table=table, photos=len(looks[0]))
    )
    if plan.embedding:
        answer["embedding"] = looks.embeddings.mean(axis=0).tolist()
    promised = table.reachable[:, answer["group"]] & (joined.warning is None)
    answer["thresholds"] = {
        "targets": table.targets.tolist(),
        "thresholds": table.thresholds[:, answer["group"]].tolist(),
        "reachable": promised.tolist(),
    }
    if joined.warning is not None:
        answer["warnings"] = [*answer["warnings"], {"kind": KIND, "text": joined.warning}]
    return answer


def join(answering: Answering, probabilities: Floats, *, target: float | None) -> Joined:
    """Join the evidence of photographs of one organism as the version was calibrated for.

    Where no size of set reaches the target, or the version knows nothing of sets, the probabilities are averaged:
    that never makes evidence surer than it was.

    Args:
        answering: The model version.
        probabilities: Of M > 1 photographs, before any temperature. Shape M x classes.
        target: Accuracy wanted; None: a threshold was asked for.
    """
    tempered, joint = temper(probabilities, answering.calibration.temperature), answering.joint
    size = None if joint is None else joint.fitting(len(tempered), target)
    if joint is None or size is None:
        why = (
            "this version was not calibrated for several photographs of one organism"
            if joint is None
            else f"no threshold of this version is known to reach {percent(target or 0)} for several photographs"
        )
        text = f"{why}: their probabilities are averaged, and nothing is promised"
        return Joined(tempered.mean(axis=0, keepdims=True), None, text)
    pooled = pool(tempered[None], dependence=joint.dependence, most=size.photos)
    return Joined(pooled, size, None if joint.basis == "observation" else INDIVIDUALS)


def _plan(answering: Answering, plan: Plan, joined: Joined, *, table: ThresholdTable, photos: int) -> Plan:
    """The same question with the thresholds and the promises for so many photographs."""
    target = plan.target
    if target is None:
        thresholds = np.full(len(table.groups), plan.thresholds[0])
    elif joined.size is None:
        thresholds = plan.thresholds
    else:
        thresholds = np.round(table.of_groups(table.position(target)), DECIMALS)
    if joined.size is None:
        text = f"nothing is promised about {photos} photographs of one organism"
        nothing = {"target": target, "accuracy": None, "accuracy_low": None, "accuracy_high": None, "kept": None}
        return replace(plan, promises=[{**nothing, "text": text}] * len(thresholds))
    promises = _promises(answering, joined.size)
    names = " or ".join(answering.taxonomy.name[node] for node in plan.within)
    said = [
        promises.of(target, group, threshold=float(threshold), within=names, region=plan.region)
        for group, threshold in enumerate(thresholds)
    ]
    return replace(plan, thresholds=thresholds, promises=said)


def _promises(answering: Answering, size: SetThresholds) -> SetPromises:
    """What was measured on sets of one size."""
    joint = answering.joint
    assert joint is not None  # noqa: S101 (there is a size of it)
    individuals = joint.basis == "species"
    unit = f"sets of {size.photos} photographs of {'different individuals' if individuals else 'one observation'}"
    return SetPromises(
        calibration=answering.calibration.model_copy(update={"points": size.points, "groups": ()}),
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
