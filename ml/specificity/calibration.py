"""All of a calibration at once: temperature, thresholds, operating points, groups and watch-list of one network.

From arrays to numbers; reads no file and tracks nothing. Both `ml.specificity.stage`, the child of the pipeline, and
`naturewatch specificity`, for anybody's classifier, are made of it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.evaluation.reliability import Reliability, reliability
from ml.spec import GroupPoint, OperatingPoint, SpecificityOptions, WatchedTaxon
from ml.specificity.answers import candidates, select
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.temperature import fit_temperature
from ml.specificity.threshold_table import ThresholdTable
from ml.specificity.thresholds import (
    STANDARD_TARGETS,
    TABULATED_TARGETS,
    Half,
    Judgement,
    Policy,
    judge,
    judge_table,
    learn,
    promises,
)
from ml.specificity.tree_sums import Distributions, SpecificityError
from ml.specificity.watch_list import alarms, find_watched
from ml.taxonomy import ROOT, Integers, Taxonomy

FOURTH = 4
"""With a guarantee, every fourth observation of the calibration half fits the temperature and chooses nothing."""


class TooFewError(SpecificityError):
    """The photographs do not suffice for what is asked."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """What a network says of N photographs, and what is true."""

    probabilities: Distributions
    """Shape N x C; may be memory-mapped, or lie in a file."""
    labels: Integers
    """True class ids. Shape N."""
    chooses: npt.NDArray[np.bool_]
    """The calibration half. Shape N."""
    judges: npt.NDArray[np.bool_]
    """The evaluation half. Shape N; the same as `chooses` where nothing was held out."""
    observations: npt.NDArray[np.object_] | None = None
    """Which observation each photograph belongs to. Shape N."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What a calibration found."""

    temperature: float
    table: ThresholdTable
    calibration: Half
    """The photographs that chose."""
    evaluation: Half
    calibration_curve: OperatingCurve
    evaluation_curve: OperatingCurve
    chosen: Judgement
    """At the target, on the photographs that chose."""
    judged: Judgement
    """At the target, on the others."""
    held_out: bool
    """Whether the judges did not choose."""
    threshold: float
    """At the target, of photographs that belong to no group."""
    reachable: bool
    reliability: Reliability
    points: tuple[OperatingPoint, ...]
    groups: tuple[GroupPoint, ...]
    watch: tuple[WatchedTaxon, ...]
    watch_unknown: tuple[str, ...]


def calibrate_network(data: Labelled, taxonomy: Taxonomy, options: SpecificityOptions) -> Outcome:
    """Choose everything on one half and judge it on the other.

    Raises:
        SpecificityError: probabilities or options are not what they must be.
        TaxonError: a name of the watch-list stands for several taxa.
    """
    watched, unknown = find_watched(options.watch_list, taxonomy)
    policy = policy_of(options, taxonomy)
    fits, chooses = divide(data, options)
    temperature = (
        fit_temperature(data.probabilities, data.labels, taxonomy, rows=np.flatnonzero(fits), seed=options.seed)
        if options.temperature
        else 1.0
    )
    found = candidates(data.probabilities, taxonomy, temperature=temperature)
    everyone = Half(found=found, labels=data.labels, observations=data.observations)
    calibration, evaluation = everyone.rows(chooses), everyone.rows(data.judges)
    targets = (*TABULATED_TARGETS, options.target)
    table = learn(calibration, taxonomy, targets=targets, policy=policy)
    at_target = table.position(options.target)
    return Outcome(
        temperature=temperature,
        table=table,
        calibration=calibration,
        evaluation=evaluation,
        calibration_curve=calibration.curve(taxonomy),
        evaluation_curve=evaluation.curve(taxonomy),
        chosen=judge_table(table, calibration, taxonomy, target=options.target),
        judged=judge_table(table, evaluation, taxonomy, target=options.target),
        held_out=not (data.chooses & data.judges).any(),
        threshold=float(table.thresholds[at_target, 0]),
        reachable=bool(table.reachable[at_target].all()),
        reliability=reliability(evaluation.found, evaluation.labels, taxonomy),
        points=operating_points(
            table, evaluation, taxonomy, target=options.target, promised=promises(table, calibration, policy)
        ),
        groups=group_points(table, calibration, evaluation, taxonomy, target=options.target),
        watch=_watch(data, chooses, watched, taxonomy, options=options, temperature=temperature),
        watch_unknown=unknown,
    )


def policy_of(options: SpecificityOptions, taxonomy: Taxonomy) -> Policy:
    """The options as a policy for this tree.

    Raises:
        SpecificityError: the tree has no such rank.
    """
    depth = 0 if options.groups == "none" else depth_of_rank(options.groups, taxonomy)
    return Policy(
        method=options.method, reward=options.reward, delta=options.delta, group_depth=depth,
        group_photos=options.group_photos, seed=options.seed,
    )  # fmt: skip


def depth_of_rank(rank: str, taxonomy: Taxonomy) -> int:
    """The depth of the taxa of a rank; in a tree with fewer ranks than seven it is another one.

    Raises:
        SpecificityError: the tree has none, or has them at several depths.
    """
    depths = sorted({int(depth) for depth, own in zip(taxonomy.depth, taxonomy.rank, strict=True) if own == rank})
    if not depths:
        raise SpecificityError(f"the taxonomy has no {rank}; choose other groups")
    if len(depths) > 1:
        raise SpecificityError(
            f"the taxonomy has {rank} at the depths {', '.join(map(str, depths))}; choose other groups"
        )
    return depths[0]


def divide(data: Labelled, options: SpecificityOptions) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which photographs fit the temperature and which choose thresholds.

    An estimate may use the calibration half for both; a guarantee needs thresholds to be chosen on photographs that the
    probabilities do not depend on.

    Raises:
        TooFewError: there is only one observation, and both are asked for.
    """
    if options.delta is None or not options.temperature:
        return data.chooses, data.chooses
    rows = np.flatnonzero(data.chooses)
    names = rows if data.observations is None else data.observations[rows]
    _, observation = np.unique(names, return_inverse=True)
    drawn = np.random.default_rng(options.seed).permutation(observation.max() + 1) % FOURTH == 0
    fits = np.zeros_like(data.chooses)
    fits[rows] = drawn[observation]
    chooses = data.chooses & ~fits
    if not chooses.any():
        raise TooFewError(
            "a guarantee with a temperature needs more observations: the only one of the calibration half fits the "
            "temperature, and none is left to choose a threshold"
        )
    return fits, chooses


def operating_points(
    table: ThresholdTable, evaluation: Half, taxonomy: Taxonomy, *, target: float, promised: bool
) -> tuple[OperatingPoint, ...]:
    """The standard targets and the chosen one, judged; `promised` says whether what is reached is promised."""
    points = []
    for wanted in sorted({*STANDARD_TARGETS, target}):
        row = table.position(wanted)
        judged = judge_table(table, evaluation, taxonomy, target=wanted)
        points.append(
            OperatingPoint(
                target=wanted,
                threshold=float(table.thresholds[row, 0]),
                reachable=bool(table.reachable[row].all()),
                accuracy=judged.accuracy,
                accuracy_low=judged.accuracy_low,
                accuracy_high=judged.accuracy_high,
                depth=judged.depth,
                abstention=judged.abstention,
                guaranteed=promised,
            )
        )
    return tuple(points)


def group_points(
    table: ThresholdTable, calibration: Half, evaluation: Half, taxonomy: Taxonomy, *, target: float
) -> tuple[GroupPoint, ...]:
    """Each group's threshold for the target, judged; empty without groups."""
    if table.group_depth == 0:
        return ()
    row = table.position(target)
    chose, judges = table.group_of(calibration.found), table.group_of(evaluation.found)
    points = []
    for position, node in enumerate(table.groups.tolist()):
        members = evaluation.rows(judges == position)
        threshold = float(table.thresholds[row, position])
        judged = judge(select(members.found, threshold), members.labels, taxonomy) if len(members.labels) else None
        points.append(
            GroupPoint(
                taxon="others" if node == ROOT else taxonomy.describe(node),
                taxon_key=None if node == ROOT else taxonomy.taxon_key[node],
                threshold=threshold,
                reachable=bool(table.reachable[row, position]),
                calibration_photos=int((chose == position).sum()),
                evaluation_photos=len(members.labels),
                accuracy=judged.accuracy if judged else None,
                accuracy_low=judged.accuracy_low if judged else None,
                accuracy_high=judged.accuracy_high if judged else None,
                depth=judged.depth if judged else None,
            )
        )
    return tuple(points)


def _watch(
    data: Labelled,
    chooses: npt.NDArray[np.bool_],
    watched: tuple[int, ...],
    taxonomy: Taxonomy,
    *,
    options: SpecificityOptions,
    temperature: float,
) -> tuple[WatchedTaxon, ...]:
    if not watched:
        return ()
    found, masses = alarms(
        data.probabilities, data.labels, watched, taxonomy, chooses=chooses, recall=options.watch_recall,
        temperature=temperature,
    )  # fmt: skip
    entries = []
    for position, alarm in enumerate(found):
        raised = masses[data.judges, position] >= alarm.threshold
        present = taxonomy.contains(alarm.node, data.labels[data.judges])
        entries.append(
            WatchedTaxon(
                taxon=taxonomy.describe(alarm.node),
                node_id=alarm.node,
                threshold=alarm.threshold,
                basis=alarm.basis,
                calibration_photos=alarm.photos,
                evaluation_photos=int(present.sum()),
                recall=float(raised[present].mean()) if present.any() else None,
                false_alarms=float(raised[~present].mean()) if not present.all() else 0.0,
            )
        )
    return tuple(entries)
