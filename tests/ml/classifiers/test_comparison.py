"""Rules side by side; that of Deng et al. is held against their own search over all taxa, written here anew."""

import numpy as np
import pytest

from ml.classifiers.comparison import DARTS, DISTANCE, TARGETS, compare
from ml.spec import Method, Reward, SpecificityOptions
from ml.specificity import information_bits, node_probabilities
from ml.specificity.calibration import Labelled, fit
from ml.specificity.rules import weight_of
from ml.specificity.thresholds import judge_table
from ml.taxonomy import Floats, Integers, Taxonomy
from tests.ml.specificity_fixtures import BIRDS, random_rows, random_tree, rows_of


def best_nodes(nodes: Floats, rewards: Floats, weight: float) -> Integers:
    """The node with the greatest (reward + lambda) x probability of all nodes of the tree."""
    certain = nodes.copy()
    certain[:, 0] = 1
    chosen: Integers = ((rewards + weight) * certain).argmax(axis=1).astype(np.int32)
    return chosen


def least_weight(nodes: Floats, labels: Integers, rewards: Floats, tree: Taxonomy, *, target: float) -> float:
    """Their binary search for the least lambda that meets the target, in orders of magnitude."""

    def accuracy(weight: float) -> float:
        return float(tree.contains(best_nodes(nodes, rewards, weight), labels).mean())

    if accuracy(0.0) >= target:
        return 0.0
    low, high = 1e-9, 1e9
    for _ in range(80):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if accuracy(middle) >= target else (middle, high)
    return high


def photographs(photos: int = 1_500, *, seed: int = 3) -> tuple[Labelled, Taxonomy]:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=30)
    labels = generator.integers(tree.class_count, size=photos).astype(np.int32)
    rows = random_rows(generator, photos=photos, classes=tree.class_count)
    rows[np.arange(photos), labels] += generator.exponential(1.0, size=photos)
    rows /= rows.sum(axis=1, keepdims=True)
    every = np.ones(photos, dtype=bool)
    return Labelled(probabilities=rows, labels=labels, chooses=every, judges=every), tree


@pytest.mark.parametrize("method", ["exact", "binary_search"])
@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_rewarded_by_depth_all_taxa_of_the_tree_give_what_one_of_each_depth_gives(
    target: float, method: Method
) -> None:
    data, tree = photographs()
    options = SpecificityOptions(target=target, rule="reward", method=method)
    fitted = fit(data, tree, options, targets=[target])
    judged = judge_table(fitted.table, fitted.evaluation, tree, target=target)
    # In a chain of single children all have the same probability; the deepest is meant.
    rewards = tree.depth * np.float64(1 + 1e-12)
    nodes = node_probabilities(np.asarray(data.probabilities), tree)
    weight = least_weight(nodes, data.labels, rewards, tree, target=target)
    theirs = best_nodes(nodes, rewards, weight)
    ours = weight_of("reward", "depth", judged.threshold, tree)
    assert ours is not None
    # The exact search names the end of the interval of lambdas with the same answers; theirs finds its beginning.
    assert ours >= weight * (1 - 1e-6) if method == "exact" else ours == pytest.approx(weight, rel=1e-6)
    assert judged.accuracy >= target
    assert judged.accuracy == pytest.approx(tree.contains(theirs, data.labels).mean())
    assert judged.depth == pytest.approx(tree.depth[theirs].mean())


@pytest.mark.parametrize("reward", ["depth", "information"])
def test_no_other_lambda_that_meets_the_target_gains_more(reward: Reward) -> None:
    data, tree = photographs(seed=4)
    options = SpecificityOptions(target=0.9, rule="reward", reward=reward)
    fitted = fit(data, tree, options, targets=[0.9])
    judged = judge_table(fitted.table, fitted.evaluation, tree, target=0.9)
    assert judged.accuracy >= 0.9
    rewards = tree.depth.astype(float) if reward == "depth" else information_bits(tree) + 1e-9 * tree.depth
    nodes = node_probabilities(np.asarray(data.probabilities), tree)
    gained = judged.depth if reward == "depth" else judged.information
    for weight in np.geomspace(1e-3, 1e3, 60):
        answers = best_nodes(nodes, rewards, float(weight))
        if tree.contains(answers, data.labels).mean() >= 0.9:
            assert rewards[answers].mean() <= gained + 5e-3


def test_a_network_that_is_certain_and_wrong_reaches_no_target_by_any_rule() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    every = np.ones(4, dtype=bool)
    data = Labelled(probabilities=np.eye(4), labels=np.array([3, 3, 3, 0], dtype=np.int32), chooses=every, judges=every)
    judged = compare(data, tree, SpecificityOptions(target=0.9))
    for name in ("exact", f"{DARTS} depth", f"{DARTS} information", DISTANCE):
        assert judged[name] == [None] * len(TARGETS)


def test_every_rule_is_shown_with_and_without_a_guarantee() -> None:
    data, tree = photographs()
    judged = compare(data, tree, SpecificityOptions(target=0.9, delta=0.1, groups="none"))
    for name in (f"{DARTS} depth", f"{DARTS} information", DISTANCE):
        estimate, promise = judged[name][1], judged[f"{name}, guaranteed, delta 0.1"][1]
        assert estimate is not None
        assert promise is not None
        assert promise.accuracy >= estimate.accuracy >= 0.9
        assert promise.threshold > estimate.threshold
