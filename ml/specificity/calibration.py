"""All of a calibration at once: temperature, thresholds, operating points, groups and watch-list of one network.

From arrays to numbers; reads no file and tracks nothing. Both `ml.specificity.stage`, a child process of the pipeline,
and `naturewatch specificity`, for classifiers that were trained elsewhere, call it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.evaluation.reliability import Reliability, binned
from ml.spec import AnswerExample, GroupPoint, OperatingPoint, SpecificityOptions, WatchedTaxon
from ml.specificity.answers import candidates
from ml.specificity.examples import examples
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.temperature import fit_temperature
from ml.specificity.thresholds import (
    STANDARD_TARGETS,
    TABULATED_TARGETS,
    Half,
    ThresholdTable,
    choosers,
    depth_of_groups,
    judge_table,
    learn,
    promises,
)
from ml.specificity.tree_sums import Distributions, SpecificityError
from ml.specificity.watch_list import find_watched, watch
from ml.taxonomy import ROOT, Integers, Taxonomy

FOURTH = 4
"""Where anything is promised, every fourth observation of the calibration half fits the temperature, and no more."""


class TooFewError(SpecificityError):
    """There are too few photographs for what is asked."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """What a network says of N photographs, and what is true."""

    probabilities: Distributions
    """Shape N x C; may be memory-mapped, or read from a file."""
    labels: Integers
    """True class ids. Shape N."""
    chooses: npt.NDArray[np.bool_]
    """The calibration half. Shape N."""
    judges: npt.NDArray[np.bool_]
    """The evaluation half. Shape N; the same as `chooses` where nothing was held out."""
    observations: npt.NDArray[np.object_] | None = None
    """Which observation each photograph belongs to. Shape N."""
    fits: npt.NDArray[np.bool_] | None = None
    """Photographs of the calibration half that the probabilities depend on already: they fit what is fitted here, too,
    and nothing is promised from them. Shape N; None: the probabilities depend on none."""


class Fitted(NamedTuple):
    """Thresholds, and the photographs that they were learnt from."""

    temperature: float
    table: ThresholdTable
    promises: npt.NDArray[np.bool_]
    """The photographs of the calibration half that the probabilities do not depend on. Shape N."""
    calibration: Half
    """The photographs that chose."""
    evaluation: Half


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """What a calibration found."""

    options: SpecificityOptions
    """What was asked for."""
    temperature: float
    table: ThresholdTable
    calibration_curve: OperatingCurve
    evaluation_curve: OperatingCurve
    chosen: OperatingPoint
    """At the target, on the photographs that chose."""
    judged: OperatingPoint
    """At the target, on the others."""
    held_out: bool
    """Whether the judges did not choose."""
    choosers: int
    """Photographs that chose: with a guarantee one of each observation."""
    by_target: tuple[OperatingPoint, ...]
    """At every tabulated target, on the photographs that judge."""
    points: tuple[OperatingPoint, ...]
    """Those of `by_target` that are reported: at the standard targets and the chosen one."""
    reliability: Reliability
    groups: tuple[GroupPoint, ...]
    watch: tuple[WatchedTaxon, ...]
    watch_unknown: tuple[str, ...]
    examples: tuple[AnswerExample, ...]
    evaluation: Half
    """The photographs that judged."""


def calibrate_network(data: Labelled, taxonomy: Taxonomy, options: SpecificityOptions) -> Outcome:
    """Choose everything on one half and judge it on the other.

    Raises:
        SpecificityError: probabilities or options are not what they must be.
        TaxonError: a name of the watch-list stands for several taxa.
    """
    watched, unknown = find_watched(options.watch_list, taxonomy)
    fitted = fit(data, taxonomy, options, targets=(*TABULATED_TARGETS, options.target))
    table, calibration, evaluation = fitted.table, fitted.calibration, fitted.evaluation
    guaranteed = promises(table, calibration, options)
    by_target = {
        target: judge_table(table, evaluation, taxonomy, target=target, guaranteed=guaranteed)
        for target in table.targets.tolist()
    }
    return Outcome(
        options=options,
        temperature=fitted.temperature,
        table=table,
        calibration_curve=calibration.curve(taxonomy),
        evaluation_curve=evaluation.curve(taxonomy),
        chosen=judge_table(table, calibration, taxonomy, target=options.target, guaranteed=guaranteed),
        judged=by_target[options.target],
        held_out=not (data.chooses & data.judges).any(),
        choosers=len(choosers(calibration, options).labels),
        by_target=tuple(by_target.values()),
        points=tuple(by_target[target] for target in sorted({*STANDARD_TARGETS, options.target})),
        reliability=reliability(evaluation, taxonomy),
        groups=group_points(table, calibration, evaluation, taxonomy, target=options.target),
        watch=watch(
            data.probabilities, data.labels, watched, taxonomy, chooses=fitted.promises, judges=data.judges,
            recall=options.watch_recall, observations=data.observations, temperature=fitted.temperature,
            seed=options.seed,
        ),
        watch_unknown=unknown,
        examples=examples(table, evaluation, taxonomy, target=options.target),
        evaluation=evaluation,
    )  # fmt: skip


def fit(data: Labelled, taxonomy: Taxonomy, options: SpecificityOptions, *, targets: Sequence[float]) -> Fitted:
    """Fit the temperature, if asked to, and learn the thresholds for `targets`.

    Raises:
        SpecificityError: probabilities or options are not what they must be.
    """
    depth_of_groups(options, taxonomy)  # refuses a rank that is not there before the long pass
    fits, unseen = divide(data, options)
    chooses = data.chooses if options.delta is None else unseen
    temperature = (
        fit_temperature(data.probabilities, data.labels, taxonomy, rows=np.flatnonzero(fits), seed=options.seed)
        if options.temperature
        else 1.0
    )
    found = candidates(data.probabilities, taxonomy, rule=options.rule, reward=options.reward, temperature=temperature)
    everyone = Half(found=found, labels=data.labels, observations=data.observations)
    calibration = everyone.rows(chooses)
    return Fitted(
        temperature=temperature,
        table=learn(calibration, taxonomy, targets=targets, options=options),
        promises=unseen,
        calibration=calibration,
        evaluation=everyone.rows(data.judges),
    )


def divide(data: Labelled, options: SpecificityOptions) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which photographs fit the temperature, and from which promises may be made.

    An estimate may use the calibration half for both. What is promised - the target with a guarantee, the recall of the
    watch-list - must be chosen on photographs that the probabilities do not depend on.

    Raises:
        TooFewError: there is only one observation, and both a guarantee and a temperature are asked for.
    """
    if data.fits is not None:
        return data.fits, data.chooses & ~data.fits
    if not options.temperature or (options.delta is None and not options.watch_list):
        return data.chooses, data.chooses
    rows = np.flatnonzero(data.chooses)
    names = rows if data.observations is None else data.observations[rows]
    _, observation = np.unique(names, return_inverse=True)
    drawn = np.random.default_rng(options.seed).permutation(observation.max() + 1) % FOURTH == 0
    fits = np.zeros_like(data.chooses)
    fits[rows] = drawn[observation]
    promises = data.chooses & ~fits
    if options.delta is not None and not promises.any():
        raise TooFewError(
            "a guarantee with a temperature needs more observations: the only one of the calibration half fits the "
            "temperature, and none is left to choose a threshold"
        )
    return fits, promises


def reliability(half: Half, taxonomy: Taxonomy) -> Reliability:
    """Compare the stated probabilities of all candidates below the root with the truth."""
    right = taxonomy.contains(half.found.node_ids, half.labels[:, None])
    return binned(half.found.probabilities[:, 1:].ravel(), right[:, 1:].ravel())


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
        judged = judge_table(table, members, taxonomy, target=target) if len(members.labels) else None
        points.append(
            GroupPoint(
                taxon="others" if node == ROOT else taxonomy.describe(node),
                taxon_key=None if node == ROOT else taxonomy.taxon_key[node],
                threshold=float(table.thresholds[row, position]),
                reachable=bool(table.reachable[row, position]),
                calibration_photos=int((chose == position).sum()),
                evaluation_photos=len(members.labels),
                accuracy=judged and judged.accuracy,
                accuracy_low=judged and judged.accuracy_low,
                accuracy_high=judged and judged.accuracy_high,
                depth=judged and judged.depth,
            )
        )
    return tuple(points)
