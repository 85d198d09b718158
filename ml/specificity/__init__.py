"""Automatic specificity adjustment (paper, section 3.3): the deepest taxon that is probable enough.

The front door: pure functions from probabilities to node probabilities, answers, curves and thresholds. What goes
beyond the paper is in `ml.specificity.rules` (answers by other rules than the threshold's), `ml.specificity.guarantee`,
`ml.specificity.thresholds` (groups), `ml.specificity.temperature` and `ml.specificity.watch_list`.
Shapes: N photographs, C classes, V nodes, D + 1 depths (root 0 ... species D).

A module called `calibrate` or `operating_curve` would replace the function of that name as soon as it is imported:
hence the names `stage` and `operating_points`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ml.spec import Method, OperatingPoint, Reward, Rule
from ml.specificity.answers import Answers, Candidates, candidates, curve_of, restrict, select
from ml.specificity.operating_points import OperatingCurve
from ml.specificity.rules import information_bits
from ml.specificity.threshold_search import choose_threshold
from ml.specificity.tree_sums import Distributions, Probabilities, SpecificityError, node_probabilities
from ml.taxonomy import Integers, Taxonomy

__all__ = [
    "Answers", "Candidates", "Method", "OperatingPoint", "Probabilities", "Rule", "SpecificityError", "answer",
    "calibrate", "candidates", "checked_labels", "choose_threshold", "curve_of", "information_bits",
    "node_probabilities", "operating_curve", "restrict", "select",
]  # fmt: skip


def answer(
    probabilities: Probabilities,
    taxonomy: Taxonomy,
    threshold: npt.ArrayLike,
    within: Sequence[int] | None = None,
    *,
    rule: Rule = "threshold",
    reward: Reward = "depth",
    renormalise: bool = True,
    temperature: float = 1.0,
) -> Answers:
    """The deepest node whose probability is at least `threshold`; the more probable one where several are.

    The root always qualifies: answering with it is abstaining. Nodes of one depth and the same probability are
    settled by preorder. That is the rule `threshold`; with another, `threshold` is that rule's parameter.

    Args:
        probabilities: Shape N x C.
        taxonomy: A tree with C leaves.
        threshold: In [0, 1]; one for all, or one per photograph.
        within: Node ids that the photograph is known to lie in, see `restrict`; None rules out nothing.
        rule: `threshold` (the paper), `reward` (Deng et al. 2012) or `distance`, see `ml.specificity.rules`.
        reward: Of the rule `reward`: depth, or information in bits.
        renormalise: Whether what `within` leaves is made to sum to one again, see `restrict`.
        temperature: Applied before everything else, see `ml.specificity.temperature.temper`.

    Raises:
        SpecificityError: as `candidates`, or a threshold is outside [0, 1].
    """
    found = candidates(
        probabilities, taxonomy, within, rule=rule, reward=reward, renormalise=renormalise, temperature=temperature
    )
    return select(found, threshold)


def operating_curve(
    probabilities: Probabilities,
    labels: npt.ArrayLike,
    taxonomy: Taxonomy,
    *,
    rule: Rule = "threshold",
    reward: Reward = "depth",
) -> OperatingCurve:
    """Accuracy, mean depth, information and abstention at every threshold, exactly: one sort over N x D breakpoints.

    Args:
        probabilities: Shape N x C.
        labels: True class ids. Shape N.
        taxonomy: A tree with C leaves.
        rule: As for `answer`.
        reward: As for `answer`.

    Raises:
        SpecificityError: as `candidates`, or the labels do not fit.
    """
    classes = checked_labels(probabilities, labels, taxonomy)
    return curve_of(candidates(probabilities, taxonomy, rule=rule, reward=reward), classes, taxonomy)


def calibrate(
    probabilities: Probabilities,
    labels: npt.ArrayLike,
    taxonomy: Taxonomy,
    target: float,
    method: Method = "exact",
    *,
    rule: Rule = "threshold",
    reward: Reward = "depth",
    seed: int = 0,
) -> OperatingPoint:
    """Choose the threshold that answers deepest while the accuracy is at least `target`.

    Args:
        probabilities: Shape N x C.
        labels: True class ids. Shape N.
        taxonomy: A tree with C leaves.
        target: Accuracy wanted, in (0, 1).
        method: `exact` looks at every breakpoint. `binary_search` (Deng et al. 2012) halves [0, 1] and relies on
            accuracy rising with the threshold, which holds above 0.5 only. `hill_climb` is the paper's: mini-batches
            push the threshold towards the target in shrinking steps; it meets the target approximately.
        rule: As for `answer`.
        reward: What to have most of at the target: `depth` (the paper) or `information` in bits (Deng et al.); also of
            the rule `reward`.
        seed: Order of the mini-batches of `hill_climb`.

    Returns:
        The threshold with its exact accuracy, depth and abstention on all N photographs. Where no threshold reaches
        the target, threshold 1 and `reachable=False`: the network is certain and wrong.

    Raises:
        SpecificityError: as `operating_curve`, the target is outside (0, 1), or the method is unknown.
    """
    classes = checked_labels(probabilities, labels, taxonomy)
    found = candidates(probabilities, taxonomy, rule=rule, reward=reward)
    return choose_threshold(found, classes, taxonomy, target=target, method=method, reward=reward, seed=seed)


def checked_labels(probabilities: Distributions, labels: npt.ArrayLike, taxonomy: Taxonomy) -> Integers:
    """Labels as class ids.

    Raises:
        SpecificityError: there is not one per photograph, or one is no class of the taxonomy.
    """
    classes = np.asarray(labels)
    if classes.ndim != 1 or len(classes) != len(probabilities) or len(classes) == 0:
        raise SpecificityError(
            f"labels must be one class id per photograph: {len(probabilities)} photographs, labels of shape "
            f"{classes.shape}"
        )
    last = taxonomy.class_count - 1
    if not np.issubdtype(classes.dtype, np.integer):
        raise SpecificityError(f"labels must be integers from 0 to {last} (class ids), not of type {classes.dtype}")
    if classes.min() < 0 or classes.max() > last:
        row = int(np.flatnonzero((classes < 0) | (classes > last))[0])
        raise SpecificityError(
            f"labels must be integers from 0 to {last} (class ids), but row {row} has {classes[row]}"
        )
    return classes.astype(np.int32)
