"""Deng et al.'s rule, for comparison: what it answers, and that its search meets the target."""

import numpy as np
import pytest

from ml.classifiers.deng2012 import best_nodes, darts
from ml.spec import Reward
from ml.specificity import information_bits, node_probabilities
from ml.specificity.calibration import Labelled
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import BIRDS, random_rows, random_tree, rows_of


def test_without_lambda_the_expected_reward_decides_and_with_much_only_what_is_certain() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    nodes = node_probabilities(np.array([[0.5, 0.4, 0.1, 0.0]]), tree)
    depths = tree.depth.astype(float)
    named = [tree.name[best_nodes(nodes, depths, weight).node_ids[0]] for weight in (0.0, 1e9)]
    # Nestor: 6 x 0.9; a species of it: 7 x 0.5. All of the probability is within Aves.
    assert named == ["Nestor", "Aves"]


@pytest.mark.parametrize("reward", ["depth", "information"])
@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_the_least_lambda_that_meets_the_target_is_found(reward: Reward, target: float) -> None:
    generator = np.random.default_rng(3)
    tree = random_tree(generator, leaves=30)
    labels = generator.integers(tree.class_count, size=1_500).astype(np.int32)
    rows = random_rows(generator, photos=1_500, classes=tree.class_count)
    rows[np.arange(1_500), labels] += generator.exponential(1.0, size=1_500)
    rows /= rows.sum(axis=1, keepdims=True)
    every = np.ones(1_500, dtype=bool)
    data = Labelled(probabilities=rows, labels=labels, chooses=every, judges=every)
    judged = darts(data, tree, target=target, reward=reward)
    assert judged is not None
    assert judged.accuracy >= target
    rewards = tree.depth.astype(float) if reward == "depth" else information_bits(tree)
    nodes = node_probabilities(rows, tree)
    gained = judged.depth if reward == "depth" else judged.information
    for weight in np.geomspace(1e-3, 1e3, 60):
        answers = best_nodes(nodes, rewards, float(weight))
        if tree.contains(answers.node_ids, labels).mean() >= target:
            assert rewards[answers.node_ids].mean() <= gained + 1e-6


def test_a_network_that_is_certain_and_wrong_has_no_lambda() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    every = np.ones(4, dtype=bool)
    data = Labelled(probabilities=np.eye(4), labels=np.array([3, 3, 3, 0], dtype=np.int32), chooses=every, judges=every)
    assert darts(data, tree, target=0.9, reward="depth") is None
