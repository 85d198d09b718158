"""The possible answers about a photograph at any threshold: one candidate for each depth, and its score.

Why that is enough at every threshold: lowering t only ever admits nodes that are less probable than those already
admitted, so the answer changes only when a greater depth is reached. The answer at t is therefore the most probable
node of the deepest depth whose most probable node still has probability >= t. A photograph has at most one such
candidate per depth, on any tree and for any t in [0, 1]; above 0.5 the candidates form one lineage. Other rules have
candidates and scores of the same kind (`ml.specificity.rules`); the paper's score is the probability.

The paper's constraint `NodeProbability(n) < t` contradicts its own prose ("greater or equal"); the prose is followed.
Its sum objective Depth + NodeProbability is read as the lexicographic (depth, probability): both agree for t > 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml.evaluation.predictions import StoredProbabilities
from ml.spec import Reward, Rule
from ml.specificity.composed import ComposedProbabilities
from ml.specificity.operating_points import DECIMALS, OperatingCurve
from ml.specificity.rules import check_rule, distance_scores, information_bits, reward_scores
from ml.specificity.temperature import temper
from ml.specificity.tree_sums import (
    Distributions,
    Probabilities,
    SpecificityError,
    best_paths,
    best_per_depth,
    checked,
    each_block,
)
from ml.taxonomy import ROOT, Floats, Integers, Taxonomy


class Answers(NamedTuple):
    """One answer per photograph."""

    node_ids: Integers
    """Shape N; the root (0) is abstaining."""
    probabilities: Floats
    """Shape N: the node probability of the answer."""


class Candidates(NamedTuple):
    """One node of each depth: all that can be answered at any parameter of a rule."""

    node_ids: Integers
    """Shape N x (D + 1)."""
    probabilities: Floats
    """Shape N x (D + 1)."""
    scores: Floats
    """The answer at t is the deepest node with a score of at least t. Shape N x (D + 1), never rising with depth."""

    def rows(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "Candidates":
        """The candidates of some of the photographs."""
        return Candidates(self.node_ids[rows], self.probabilities[rows], self.scores[rows])


def candidates(
    probabilities: Distributions,
    taxonomy: Taxonomy,
    within: Sequence[int] | None = None,
    *,
    rule: Rule = "threshold",
    reward: Reward = "depth",
    renormalise: bool = True,
    temperature: float = 1.0,
) -> Candidates:
    """The candidate of each depth, for every photograph; rows are taken block by block.

    Args:
        probabilities: Shape N x C; a file is read once, in bounded memory.
        taxonomy: A tree with C leaves.
        within: Node ids that the photograph is known to lie in, see `restrict`; None rules out nothing.
        rule: What is answered, see `ml.specificity.rules`.
        reward: Of the rule `reward`.
        renormalise: Whether what `within` leaves is made to sum to one again, see `restrict`.
        temperature: Applied before everything else, see `ml.specificity.temperature.temper`.

    Raises:
        SpecificityError: the shape is wrong, a row is not a probability distribution, `within` is empty or names
            no node, or the rule is unknown.
    """
    check_rule(rule, reward)
    if not isinstance(probabilities, StoredProbabilities | ComposedProbabilities):
        probabilities = np.asanyarray(probabilities)
    shape = (len(probabilities), taxonomy.max_depth + 1)
    node_ids, best = np.empty(shape, dtype=np.int32), np.empty(shape)
    along = np.empty(shape) if rule == "distance" else None

    def work(rows: slice) -> None:
        block: Probabilities = probabilities[rows]
        if temperature != 1:
            block = temper(checked(block, taxonomy, first_row=rows.start), temperature)
        if within is not None:
            leaves = checked(block, taxonomy, first_row=rows.start)
            block = restrict(leaves, taxonomy, within)
        if along is None:
            node_ids[rows], best[rows] = best_per_depth(block, taxonomy, first_row=rows.start)
        else:
            node_ids[rows], best[rows], along[rows] = best_paths(block, taxonomy, first_row=rows.start)
        if within is not None and not renormalise:
            # Conditioning divides all of a row by the same: it does not change which node is the best of its depth.
            left = restrict(leaves, taxonomy, within, renormalise=False).sum(axis=1, keepdims=True)
            best[rows] *= left
            if along is not None:
                along[rows] *= left

    each_block(probabilities, work)
    best = np.round(best, DECIMALS)
    if along is not None:
        return Candidates(node_ids, best, distance_scores(along))
    scores = best if rule == "threshold" else reward_scores(node_ids, best, taxonomy, reward=reward)
    return Candidates(node_ids, best, scores)


def restrict(
    probabilities: Probabilities, taxonomy: Taxonomy, within: Sequence[int], *, renormalise: bool = True
) -> Floats:
    """Rule out every species that lies outside all of the nodes `within` (the paper's prior nodes).

    Args:
        probabilities: Shape N x C.
        taxonomy: A tree with C leaves.
        within: Node ids; their order does not matter and they may nest.
        renormalise: Divide by what is left, as knowledge conditions a probability; False is the paper's literal
            reading. Where nothing is left the network cannot tell the allowed species apart: all get the same.

    Raises:
        SpecificityError: `within` is empty or holds what is not a node.
    """
    if len(within) == 0:
        raise SpecificityError("`within` names no taxon; leave it out to allow every one")
    allowed = np.zeros(taxonomy.class_count, dtype=bool)
    for node in within:
        if not ROOT <= node < taxonomy.node_count:
            raise SpecificityError(f"`within` holds {node}, which is not a node of the taxonomy")
        allowed[taxonomy.leaf_begin[node] : taxonomy.leaf_end[node]] = True
    kept: Floats = np.where(allowed, np.asarray(probabilities, dtype=np.float64), 0.0)
    if not renormalise:
        return kept
    total = kept.sum(axis=1, keepdims=True)
    return np.where(total > 0, kept / np.where(total > 0, total, 1), allowed / allowed.sum())


def select(found: Candidates, threshold: npt.ArrayLike) -> Answers:
    """The answer of each photograph from its candidates.

    Args:
        found: Candidates of N photographs.
        threshold: In [0, 1]; one for all, or one per photograph (shape N).

    Raises:
        SpecificityError: a threshold is outside [0, 1].
    """
    wanted = np.asarray(threshold, dtype=np.float64)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise SpecificityError(f"the threshold must lie in [0, 1], not {wanted}")
    enough = found.scores[:, 1:] >= np.round(wanted, DECIMALS).reshape(-1, 1)
    depth = enough.sum(axis=1)
    rows = np.arange(len(depth))
    return Answers(found.node_ids[rows, depth], found.probabilities[rows, depth])


def curve_of(found: Candidates, labels: Integers, taxonomy: Taxonomy) -> OperatingCurve:
    """What each threshold does, exactly, from one sort over the N x D breakpoints of the candidates."""
    photos, depths = found.node_ids.shape
    right = taxonomy.contains(found.node_ids, labels[:, None]).astype(np.int64)
    bits = information_bits(taxonomy)[found.node_ids]
    # Falling through its breakpoint of depth d, a photograph's answer moves from depth d - 1 to depth d.
    breakpoints = found.scores[:, 1:].ravel()
    order = np.argsort(-breakpoints, kind="stable")
    falling = breakpoints[order]
    gained = np.cumsum(np.diff(right, axis=1).ravel()[order])
    learnt = np.cumsum(np.diff(bits, axis=1).ravel()[order])
    first_level = np.zeros((photos, depths - 1), dtype=np.int64)
    first_level[:, 0] = 1
    answered = np.cumsum(first_level.ravel()[order])
    # A score below 0 stands for a depth that no parameter leads to.
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True) & (falling >= 0))
    entries = np.stack([photos + gained[last], last + 1, photos - answered[last], learnt[last]]) / photos
    thresholds = falling[last]
    if not len(thresholds) or thresholds[0] < 1:
        thresholds = np.concatenate([[1.0], thresholds])
        entries = np.concatenate([[[1.0], [0.0], [1.0], [0.0]], entries], axis=1)
    accuracy, depth, abstention, information = entries
    return OperatingCurve(
        threshold=thresholds, accuracy=accuracy, depth=depth, abstention=abstention, information=information,
        photos=photos,
    )  # fmt: skip
