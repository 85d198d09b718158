"""Answer rules: the paper's threshold, the reward of Deng et al. (2012), and the least expected distance in the tree.

Every rule has one parameter t in [0, 1], the strictest first: at 1 only what is certain is answered. Of each depth a
photograph has one candidate. A rule says up to which t the candidate of a depth j is at least as good as that of a
shallower depth i; `preferred` is that number. The answer at t is the deepest of the best candidates. It is as deep as d
exactly where some j >= d is at least as good as every i < d, that is for t up to

    score(d) = max over j >= d of min over i < d of preferred(i, j)

which never rises with d. So one number for each depth says all that a rule does at any t, and whatever searches,
guarantees, tabulates or serves a threshold does so for every rule: the answer is the deepest candidate with
score >= t.

`threshold` (the paper, section 3.3): the deepest taxon with a probability of at least t. preferred(i, j) = p(j).

`reward` (DARTS; Deng et al. 2012, "Hedging your bets"): the greatest (reward + λ) x probability for λ >= 0. With R, the
reward of a species, λ = R t / (1 - t): t is the probability from which a species is preferred to no answer. The root
counts as certain, since it is always right. With depth as the reward the most probable taxon of each depth is the best
of its depth for every λ; with information, which differs within a depth, the same candidates are compared.

`distance`: the least expected number of steps in the tree from the answer to the true species, less λ x depth of the
answer, λ = 1 - 2 t: at t = 0.5 the expected distance alone decides, below it depth counts for more. From a taxon n at
depth d to the true species at depth D there are d + D - 2 x (steps that both lineages share) steps, and the expected
number of shared steps is the sum of the probabilities along n's lineage, S(n). So S(n) - t d is to be greatest: the
candidate of a depth is the taxon with the greatest S, and preferred(i, j) = (S(j) - S(i)) / (j - i). For t > 0.5 this
is the paper's rule: a step to a taxon of probability p adds p - t, the taxa with p >= t > 0.5 are one lineage, and no
step elsewhere adds anything. The same holds for steps of any lengths.
"""

import numpy as np

from ml.spec import Reward, Rule
from ml.specificity.operating_points import DECIMALS
from ml.specificity.tree_sums import SpecificityError, blocks
from ml.taxonomy import Floats, Integers, Taxonomy

RULES: tuple[Rule, ...] = ("threshold", "reward", "distance")
REWARDS: tuple[Reward, ...] = ("depth", "information")
NEVER = -1.0
"""Score of a depth that no parameter in [0, 1] leads to."""


def information_bits(taxonomy: Taxonomy) -> Floats:
    """Information gain of answering with each node (Deng et al. 2012): log2 of how many times fewer species are left.

    Returns:
        Shape V, in bits: the root has 0, a species log2(C).
    """
    bits: Floats = np.log2(taxonomy.class_count) - np.log2(taxonomy.leaf_end - taxonomy.leaf_begin)
    return bits


def check_rule(rule: str, reward: str) -> None:
    """Refuse what is no rule, or no reward.

    Raises:
        SpecificityError: one of them is unknown.
    """
    for what, name, known in (("rule", rule, RULES), ("reward", reward, REWARDS)):
        if name not in known:
            raise SpecificityError(f"the {what} must be one of {', '.join(known)}, not {name!r}")


def reward_scores(node_ids: Integers, probabilities: Floats, taxonomy: Taxonomy, *, reward: Reward) -> Floats:
    """The score of each depth under the rule `reward`.

    Args:
        node_ids: The most probable node of each depth. Shape N x (D + 1).
        probabilities: Theirs, never rising with depth. Shape N x (D + 1).
        taxonomy: Their tree.
        reward: Depth, or information gain in bits.

    Returns:
        Shape N x (D + 1); never rising with depth, 1 for the root.
    """
    gains = taxonomy.depth.astype(np.float64) if reward == "depth" else information_bits(taxonomy)
    greatest = float(gains.max())
    scores = np.ones(probabilities.shape)
    for rows in blocks(scores):
        certain = probabilities[rows].copy()
        certain[:, 0] = 1.0
        expected = certain * gains[node_ids[rows]]
        gained = np.round(expected[:, None, :] - expected[:, :, None], DECIMALS)
        lost = greatest * (certain[:, :, None] - certain[:, None, :])
        total = gained + lost
        # Nothing gained and nothing lost: a chain of single children; the deepest is meant.
        preferred = np.where(gained < 0, NEVER, np.where(total > 0, gained / np.where(total > 0, total, 1), 1.0))
        scores[rows] = _scores(preferred)
    return scores


def distance_scores(sums: Floats) -> Floats:
    """The score of each depth under the rule `distance`.

    Args:
        sums: Greatest sum of probabilities along a lineage to each depth (`ml.specificity.tree_sums.best_paths`).
            Shape N x (D + 1).

    Returns:
        Shape N x (D + 1); never rising with depth, 1 for the root.
    """
    depth = np.arange(sums.shape[1])
    steps = np.maximum(depth[None, :] - depth[:, None], 1)
    scores = np.ones(sums.shape)
    for rows in blocks(scores):
        scores[rows] = _scores((sums[rows, None, :] - sums[rows, :, None]) / steps)
    return scores


def _scores(preferred: Floats) -> Floats:
    """From N x i x j, where only i < j is read, to N x (D + 1)."""
    scores = np.ones(preferred.shape[:2])
    for depth in range(1, preferred.shape[2]):
        scores[:, depth] = preferred[:, :depth, depth:].min(axis=1).max(axis=1)
    scores = np.minimum(np.round(scores, DECIMALS), 1.0)
    return np.where(scores < 0, NEVER, scores)


def weight_of(rule: Rule, reward: Reward, parameter: float, taxonomy: Taxonomy) -> float | None:
    """The λ that a parameter stands for: infinite at 1 under `reward`; None under `threshold`, which has none."""
    if rule == "threshold":
        return None
    if rule == "distance":
        return 1 - 2 * parameter
    greatest = float(taxonomy.max_depth if reward == "depth" else information_bits(taxonomy).max())
    return greatest * parameter / (1 - parameter) if parameter < 1 else np.inf


def parameter_name(rule: Rule, reward: Reward, taxonomy: Taxonomy) -> str:
    """What the parameter is, for the axis of a figure and the foot of a table."""
    if rule == "threshold":
        return "confidence threshold"
    if rule == "distance":
        return "t of the distance rule, λ = 1 - 2 t"
    greatest = taxonomy.max_depth if reward == "depth" else information_bits(taxonomy).max()
    return f"t of the reward rule ({reward}), λ = {greatest:.4g} t / (1 - t)"


def describe_rule(rule: Rule, reward: Reward, parameter: float, taxonomy: Taxonomy) -> str:
    """The rule at a parameter, for people."""
    weight = weight_of(rule, reward, parameter, taxonomy)
    if weight is None:
        return f"the deepest taxon with a probability of at least {parameter:.4f}"
    if rule == "distance":
        return f"the least expected distance in the tree - λ x depth, λ = {weight:.4g} (t = {parameter:.4f})"
    return f"the greatest ({reward} + λ) x probability, λ = {weight:.4g} (t = {parameter:.4f})"
