"""Learning thresholds from one half of the labelled photographs and judging them on the other.

A policy says how: by which search, with a guarantee or not, one threshold for all or one per group. A photograph's
group is what the network itself takes it for, its most probable kingdom or class: the true one is not known when a
threshold is needed. So the target holds within every group of photographs that are taken for the same taxon.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.specificity.answers import Answers, Candidates, curve_of, information_bits, select
from ml.specificity.guarantee import clopper_pearson, guaranteed_threshold, one_per_group
from ml.specificity.operating_points import Floats, OperatingCurve, Reward
from ml.specificity.threshold_search import Method, choose_threshold
from ml.specificity.threshold_table import ThresholdTable
from ml.taxonomy import ROOT, Integers, Taxonomy

STANDARD_TARGETS = (0.8, 0.9, 0.95, 0.99)
"""Operating points that are reported for every network."""
TABULATED_TARGETS = (*(round(0.5 + step / 100, 2) for step in range(50)), 0.995, 0.999)
"""Targets that a model can be asked for; one in between is answered with the next higher."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Half:
    """Photographs with their labels: one half of the validation side."""

    found: Candidates
    """The most probable node of each depth. Shapes N x (D + 1)."""
    labels: Integers
    """True class ids. Shape N."""
    observations: npt.NDArray[np.object_] | None = None
    """Which observation each photograph belongs to. Shape N; None: every photograph stands for itself."""

    def rows(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "Half":
        """Some of the photographs."""
        observations = None if self.observations is None else self.observations[rows]
        return Half(found=self.found.rows(rows), labels=self.labels[rows], observations=observations)

    def curve(self, taxonomy: Taxonomy) -> OperatingCurve:
        """What each threshold does on this half."""
        return curve_of(self.found, self.labels, taxonomy)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How thresholds are chosen."""

    method: Method = "exact"
    reward: Reward = "depth"
    delta: float | None = None
    """With a number, the target is promised: broken with at most this probability (`ml.specificity.guarantee`), over
    all groups."""
    group_depth: int = 0
    """Depth of the groups, e.g. 1 for kingdoms; 0 for one threshold for all."""
    group_photos: int = 100
    """A group needs so many photographs to have its own threshold; the others share one.

    Where the others together are fewer, too, they get the strictest threshold of all, and no promise of their own.
    """
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What answers are worth on photographs with labels."""

    photos: int
    accuracy: float
    accuracy_low: float
    """Lower end of the 95 % Clopper-Pearson interval."""
    accuracy_high: float
    depth: float
    information: float
    abstention: float


def learn(half: Half, taxonomy: Taxonomy, *, targets: Sequence[float], policy: Policy) -> ThresholdTable:
    """Choose a threshold for every target and group.

    Args:
        half: The photographs that choose.
        taxonomy: Their tree.
        targets: Accuracies.
        policy: How.

    Raises:
        SpecificityError: the policy makes no sense.
    """
    wanted = np.array(sorted(set(targets)))
    half = choosers(half, policy)
    groups = groups_of(half.found, depth=policy.group_depth, least=policy.group_photos)
    nodes, rest = half.found.node_ids[:, policy.group_depth], _others(half, groups, policy)
    few = len(groups) > 1 and int(rest.sum()) < policy.group_photos
    members = [np.ones_like(rest) if few else rest, *(nodes == node for node in groups[1:])]
    columns = [_choose(half.rows(rows), taxonomy, wanted, policy, groups=len(groups)) for rows in members]
    thresholds = np.stack([column for column, _ in columns], axis=1)
    reachable = np.stack([column for _, column in columns], axis=1)
    if few:
        # Too little is known of the others to choose for them: the strictest of all thresholds is on the safe side.
        thresholds[:, 0], reachable[:, 0] = thresholds.max(axis=1), reachable.all(axis=1)
    return ThresholdTable(
        targets=wanted, groups=groups, group_depth=policy.group_depth, thresholds=thresholds, reachable=reachable
    )


def choosers(half: Half, policy: Policy) -> Half:
    """The photographs that choose: with a guarantee one of each observation, as they must be independent."""
    if policy.delta is None or half.observations is None:
        return half
    return half.rows(one_per_group(half.observations, seed=policy.seed))


def promises(table: ThresholdTable, half: Half, policy: Policy) -> bool:
    """Whether the thresholds that `learn` chose from `half` are promised for every photograph, those of no group too.

    Others that are too few have the strictest threshold of the groups, which nothing was proved about.
    """
    others = int(_others(choosers(half, policy), table.groups, policy).sum())
    return policy.delta is not None and (len(table.groups) == 1 or others == 0 or others >= policy.group_photos)


def groups_of(found: Candidates, *, depth: int, least: int) -> Integers:
    """The root, then the nodes of a depth that at least `least` photographs are taken for, in preorder."""
    if depth == ROOT:
        return np.zeros(1, dtype=np.int32)
    nodes, photos = np.unique(found.node_ids[:, depth], return_counts=True)
    # Photographs that end above the depth, in a shallow leaf, have a node of no group.
    return np.concatenate([[ROOT], nodes[photos >= least]]).astype(np.int32)


def judge(answers: Answers, labels: Integers, taxonomy: Taxonomy) -> Judgement:
    """Compare answers with the truth."""
    right = taxonomy.contains(answers.node_ids, labels)
    low, high = clopper_pearson(int(right.sum()), len(right))
    return Judgement(
        photos=len(right),
        accuracy=float(right.mean()),
        accuracy_low=low,
        accuracy_high=high,
        depth=float(taxonomy.depth[answers.node_ids].mean()),
        information=float(information_bits(taxonomy)[answers.node_ids].mean()),
        abstention=float((answers.node_ids == ROOT).mean()),
    )


def judge_table(table: ThresholdTable, half: Half, taxonomy: Taxonomy, *, target: float) -> Judgement:
    """What the thresholds of a target are worth on a half that did not choose them."""
    row = table.thresholds[table.position(target)]
    return judge(select(half.found, row[table.group_of(half.found)]), half.labels, taxonomy)


def _others(half: Half, groups: Integers, policy: Policy) -> npt.NDArray[np.bool_]:
    """Which photographs are in no group but the root's. Shape N."""
    return ~np.isin(half.found.node_ids[:, policy.group_depth], groups[1:])


def _choose(
    half: Half, taxonomy: Taxonomy, targets: Floats, policy: Policy, *, groups: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Thresholds of one group, and whether they reach their targets."""
    curve = half.curve(taxonomy)
    thresholds, reachable = np.ones(len(targets)), np.zeros(len(targets), dtype=bool)
    for position, target in enumerate(targets.tolist()):
        if policy.delta is not None:
            promised = guaranteed_threshold(curve, target=target, delta=policy.delta / groups)
            if promised is not None:
                thresholds[position], reachable[position] = promised, True
            continue
        chosen = choose_threshold(
            half.found, half.labels, taxonomy, target=target, method=policy.method, reward=policy.reward,
            seed=policy.seed, curve=curve,
        )  # fmt: skip
        thresholds[position], reachable[position] = chosen.threshold, chosen.reachable
    return thresholds, reachable
