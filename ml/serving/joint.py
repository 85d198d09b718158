"""Several photographs of one organism, answered as one: their evidence joined, and what is promised about such answers.

How evidence is joined is in `ml.specificity.pooling`; the thresholds for so many photographs are the version's own
(`ml.specificity.joint_thresholds`), since those of single photographs would not hold.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.places.sites import Case, Sites
from ml.serving.answering import Answering, Looks, Plan
from ml.serving.cases import CalibratedCase, Setting, placed
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
from ml.taxonomy import Floats

KIND: Final = "joint"
"""Of the warnings about answers to several photographs."""
INDIVIDUALS: Final = (
    "this version was calibrated with photographs of different individuals of one species: photographs of one organism "
    "are more alike, so that the answer is surer of itself than it should be"
)
"""What must be known where the calibration had no photographs of one organism."""


UNMEASURED: Final = (
    "how often answers to several photographs with a place are right was not measured: nothing is promised"
)


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
    there are of it; sets of photographs with a place were never measured, so that nothing is promised about them.

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
    one, apart = (None, None) if sites is None else shared_place(sites)
    case = placed(one, 1, prior=answering.prior, calibrated=answering.cases).case(0)
    joined = join(answering, looks.probabilities, target=plan.target)
    pooled = _pooled(answering, joined, case)
    least_unlike = looks.embeddings[[_least_unlike(answering, looks)]]
    asked = _plan(answering, plan, joined, pooled, case=case, photos=len(looks.probabilities))
    (answer,) = pooled.answers(Looks(joined.probabilities, least_unlike), asked, one)
    if plan.embedding:
        answer["embedding"] = looks.embeddings.mean(axis=0).tolist()
    table = pooled.cases[case].thresholds
    promised = table.reachable[:, answer["group"]] & (joined.warning is None) & (case == "neither")
    answer["thresholds"] = {
        "targets": table.targets.tolist(),
        "thresholds": table.thresholds[:, answer["group"]].tolist(),
        "reachable": promised.tolist(),
    }
    said = [(PLACE_KIND, apart), (KIND, joined.warning), (KIND, UNMEASURED if case != "neither" else None)]
    answer["warnings"] += [{"kind": kind, "text": text} for kind, text in said if text is not None]
    return answer


def _pooled(answering: Answering, joined: Joined, case: Case) -> Answering:
    """The version as it answers about joint evidence, which is calibrated already."""
    honest = answering.calibration.model_copy(update={"temperature": 1.0})
    table = answering.thresholds if joined.size is None else joined.size.table
    cases: dict[Case, CalibratedCase] = {}
    if case != "neither":
        own = answering.cases[case]
        cases[case] = replace(
            own,
            calibration=own.calibration.model_copy(update={"temperature": 1.0}),
            thresholds=own.thresholds if joined.size is None else table,
            # What tempers the composed distribution tempers the prior, too.
            exponent=own.exponent / own.calibration.temperature,
        )
    return replace(answering, thresholds=table, calibration=honest, place_cases=cases)


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


def _plan(
    answering: Answering, plan: Plan, joined: Joined, pooled: Answering, *, case: Case, photos: int
) -> Plan:  # fmt: skip
    """The same question with the thresholds and the promises for so many photographs."""
    settings = {}
    for name, own in pooled.cases.items():
        thresholds = plan.settings[name].thresholds
        if joined.size is not None:
            table = own.thresholds
            thresholds = (
                np.full(len(table.groups), thresholds[0])
                if plan.target is None
                else np.round(table.of_groups(table.position(plan.target)), DECIMALS)
            )
        if joined.size is None or case != "neither":
            settings[name] = Setting(thresholds, _nothing(plan.target, case, photos) * len(thresholds))
            continue
        promises, names = _promises(answering, joined.size), [answering.taxonomy.name[node] for node in plan.within]
        said = [
            promises.of(plan.target, group, threshold=float(threshold), within=" or ".join(names), region=plan.region)
            for group, threshold in enumerate(thresholds)
        ]
        settings[name] = Setting(thresholds, said)
    return replace(plan, settings=settings)


def _nothing(target: float | None, case: Case, photos: int) -> list[dict[str, Any]]:
    """That nothing is promised."""
    known = "" if case == "neither" else f" with {NAMES[case]}"
    return [
        {
            "target": target, "accuracy": None, "accuracy_low": None, "accuracy_high": None, "kept": None,
            "text": f"nothing is promised about {photos} photographs of one organism{known}",
        }
    ]  # fmt: skip


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
