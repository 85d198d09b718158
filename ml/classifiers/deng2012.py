"""DARTS, the method that the paper builds on (Deng et al. 2012, "Hedging your bets"), for comparison.

It answers with the node that maximises (reward + lambda) x probability: no threshold, but one number lambda that trades
reward for accuracy, and a binary search for the least that meets the target. The paper replaces the rule by a
threshold and the reward, information gain, by depth.
"""

import math

import numpy as np

from ml.spec import OperatingPoint, Reward
from ml.specificity.answers import Answers, information_bits
from ml.specificity.calibration import Labelled
from ml.specificity.thresholds import judge
from ml.specificity.tree_sums import node_probabilities
from ml.taxonomy import Floats, Integers, Taxonomy

STEPS = 60
LARGEST = 1e9
"""With such a lambda only the probability counts: the deepest taxon that is certain is answered."""


def darts(
    data: Labelled, taxonomy: Taxonomy, *, target: float, reward: Reward = "information"
) -> OperatingPoint | None:
    """Search lambda on the half that chooses and judge the answers on the other.

    Args:
        data: Photographs with labels; their N x V node probabilities are held in memory.
        taxonomy: Their tree.
        target: Accuracy wanted, in (0, 1).
        reward: Information gain in bits, as in the original, or depth.

    Returns:
        What the answers are worth, without a threshold (NaN), or None where no lambda meets the target: the network is
        certain and wrong.

    Raises:
        SpecificityError: as `ml.specificity.tree_sums.node_probabilities`.
    """
    rewards = taxonomy.depth.astype(np.float64) if reward == "depth" else information_bits(taxonomy)
    # In a chain of single children all have the same reward; the deepest is meant.
    rewards = rewards + 1e-9 * taxonomy.depth
    chooses = node_probabilities(data.probabilities[data.chooses], taxonomy)
    weight = _least_weight(chooses, data.labels[data.chooses], rewards, taxonomy, target=target)
    if weight is None:
        return None
    judges = node_probabilities(data.probabilities[data.judges], taxonomy)
    answers = best_nodes(judges, rewards, weight)
    return judge(answers, data.labels[data.judges], taxonomy, target=target, threshold=math.nan)


def best_nodes(nodes: Floats, rewards: Floats, weight: float) -> Answers:
    """The node with the greatest (reward + weight) x probability.

    Args:
        nodes: Node probabilities. Shape N x V.
        rewards: Shape V.
        weight: Lambda, at least 0.
    """
    chosen = ((rewards + weight) * nodes).argmax(axis=1).astype(np.int32)
    return Answers(chosen, nodes[np.arange(len(nodes)), chosen])


def _least_weight(
    nodes: Floats, labels: Integers, rewards: Floats, taxonomy: Taxonomy, *, target: float
) -> float | None:
    def accuracy(weight: float) -> float:
        return float(taxonomy.contains(best_nodes(nodes, rewards, weight).node_ids, labels).mean())

    if accuracy(LARGEST) < target:
        return None
    low, high = 0.0, LARGEST
    if accuracy(low) >= target:
        return low
    for _ in range(STEPS):
        # Halving the order of magnitude: lambda may be anything between a millionth and a million.
        middle = float(np.sqrt(max(low, 1e-9) * high))
        low, high = (low, middle) if accuracy(middle) >= target else (middle, high)
    return high
