"""Specificity control against a literal depth-first traversal, and what its curve and its searches promise."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml.spec import Reward
from ml.specificity import (
    Method,
    SpecificityError,
    answer,
    calibrate,
    information_bits,
    node_probabilities,
    operating_curve,
    restrict,
    tree_sums,
)
from ml.specificity.operating_points import DECIMALS, OperatingCurve
from ml.taxonomy import Floats, Taxonomy
from tests.ml.specificity_fixtures import BIRDS, Nested, random_rows, random_tree, rows_of

seeds = st.integers(min_value=0, max_value=2**32 - 1)
thresholds = st.one_of(st.floats(min_value=0, max_value=1), st.sampled_from([0.0, 0.25, 0.5, 1.0]))


def depth_first(row: Floats, tree: Taxonomy, threshold: float) -> int:
    """The paper's traversal: the deepest node that is probable enough, then the more probable, then preorder."""
    visited: list[tuple[int, float, int]] = []

    def visit(node: int) -> float:
        children = tree.children(node)
        total = sum(visit(child) for child in children) if children else float(row[tree.class_id[node]])
        if node == 0 or round(total, DECIMALS) >= round(threshold, DECIMALS):
            visited.append((int(tree.depth[node]), total, -node))
        return total

    visit(0)
    return -max(visited)[2]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_answers_agree_with_the_depth_first_traversal_on_two_thousand_trees(kind: type[np.floating]) -> None:
    """Single-child chains, shallow leaves, thresholds below 0.5, sums that are one only within the type's error."""
    generator = np.random.default_rng(2017)
    off, below, chains = 0, 0, 0
    for number in range(2_000):
        tree = random_tree(generator, leaves=int(generator.integers(2, 12)), uneven=number % 2 == 0)
        rows = random_rows(generator, photos=2, classes=tree.class_count).astype(kind)
        threshold = (0.0, 0.5, 1.0)[number // 7 % 3] if number % 7 == 0 else float(generator.random())
        answers = answer(rows, tree, threshold)
        assert answers.node_ids.tolist() == [depth_first(row.astype(np.float64), tree, threshold) for row in rows]
        expected = node_probabilities(rows, tree)[np.arange(2), answers.node_ids]
        np.testing.assert_allclose(answers.probabilities, expected, atol=10.0**-DECIMALS)
        off += int((rows.astype(np.float64).sum(axis=1) != 1).sum())
        below += threshold <= 0.5
        chains += int((np.bincount(tree.parent[1:]) == 1).any())
    assert min(off, below, chains) > 500


@settings(max_examples=60, deadline=None)
@given(seed=seeds, threshold=thresholds, uneven=st.booleans())
def test_answers_agree_with_the_depth_first_traversal(*, seed: int, threshold: float, uneven: bool) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=int(generator.integers(2, 14)), uneven=uneven)
    rows = random_rows(generator, photos=6, classes=tree.class_count)
    assert answer(rows, tree, threshold).node_ids.tolist() == [depth_first(row, tree, threshold) for row in rows]


def test_of_several_nodes_of_one_depth_the_more_probable_answers_and_then_the_first() -> None:
    tree = Taxonomy.of_rows(rows_of({"A": {"A1": {}, "A2": {}}, "B": {"B1": {}}}))
    named = [tree.name[node] for node in answer(np.array([[0.3, 0.4, 0.3], [0.4, 0.2, 0.4]]), tree, 0.3).node_ids]
    assert named == ["A2", "A1"]


def test_each_photograph_may_have_its_own_threshold() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    rows = np.tile([[0.6, 0.3, 0.1, 0.0]], (3, 1))
    named = [tree.name[node] for node in answer(rows, tree, [0.5, 0.8, 0.95]).node_ids]
    assert named == ["Nestor notabilis", "Nestor", "Aves"]
    with pytest.raises(SpecificityError, match="threshold"):
        answer(rows, tree, [0.5, np.nan, 0.5])


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_a_parent_is_the_sum_of_its_children_and_never_below_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=12, uneven=True)
    rows = random_rows(generator, photos=5, classes=tree.class_count)
    nodes = node_probabilities(rows, tree)
    np.testing.assert_array_equal(nodes[:, tree.leaves], rows)
    np.testing.assert_allclose(nodes[:, 0], 1, atol=1e-12)
    for node in range(tree.node_count):
        if children := list(tree.children(node)):
            np.testing.assert_allclose(nodes[:, node], nodes[:, children].sum(axis=1), atol=1e-12)
            assert (nodes[:, [node]] >= nodes[:, children]).all()


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_above_a_half_a_higher_threshold_only_climbs_the_same_lineage(seed: int) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=15)
    rows = random_rows(generator, photos=8, classes=tree.class_count)
    low, high = np.sort(generator.uniform(0.5 + 1e-9, 1, size=2))
    below, above = answer(rows, tree, low).node_ids, answer(rows, tree, high).node_ids
    assert all(ancestor in tree.lineage(int(node)) for node, ancestor in zip(below, above, strict=True))


@settings(max_examples=60, deadline=None)
@given(seed=seeds, uneven=st.booleans())
def test_the_curve_is_what_answering_at_each_threshold_gives(*, seed: int, uneven: bool) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=10, uneven=uneven)
    rows = random_rows(generator, photos=12, classes=tree.class_count)
    labels = generator.integers(tree.class_count, size=12)
    curve = operating_curve(rows, labels, tree)
    assert curve.threshold[0] == 1
    assert (np.diff(curve.threshold) < 0).all()
    assert (np.diff(curve.depth) > 0).all()
    assert (np.diff(curve.accuracy[curve.threshold > 0.5]) <= 0).all()
    for threshold in [*curve.threshold, 0.0, *generator.random(5)]:
        nodes, entry = answer(rows, tree, float(threshold)).node_ids, curve.at(float(threshold))
        assert curve.accuracy[entry] == pytest.approx(tree.contains(nodes, labels).mean())
        assert curve.depth[entry] == pytest.approx(tree.depth[nodes].mean())
        assert curve.abstention[entry] == pytest.approx((nodes == 0).mean())


def _classifier(photos: int = 2_000) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]], Taxonomy]:
    generator = np.random.default_rng(11)
    tree = random_tree(generator, leaves=60)
    labels = generator.integers(tree.class_count, size=photos)
    logits = generator.normal(size=(photos, tree.class_count)) * 1.5
    logits[np.arange(photos), labels] += 3.5
    exponential = np.exp(logits)
    return exponential / exponential.sum(axis=1, keepdims=True), labels, tree


@pytest.mark.parametrize("target", [0.8, 0.9, 0.97])
def test_the_three_methods_agree(target: float) -> None:
    probabilities, labels, tree = _classifier()
    exact, binary, climbed = (
        calibrate(probabilities, labels, tree, target, method) for method in ("exact", "binary_search", "hill_climb")
    )
    assert exact.accuracy >= target
    assert binary.accuracy >= target
    assert exact.threshold > 0.5
    assert binary.depth == exact.depth
    assert binary.threshold <= exact.threshold
    assert climbed.accuracy == pytest.approx(target, abs=0.01)
    assert climbed.depth == pytest.approx(exact.depth, abs=0.15)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, target=st.floats(min_value=0.6, max_value=0.97), reward=st.sampled_from(get_args(Reward)))
def test_where_accuracy_rises_with_the_threshold_all_methods_agree(*, seed: int, target: float, reward: Reward) -> None:
    """Binary search finds the same answers; the climb comes as near to the target as its mini-batches let it."""
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=20)
    labels = generator.integers(tree.class_count, size=400)
    rows = random_rows(generator, photos=400, classes=tree.class_count)
    rows[np.arange(400), labels] += generator.exponential(2, size=400)
    rows /= rows.sum(axis=1, keepdims=True)
    exact = calibrate(rows, labels, tree, target, reward=reward)
    curve = operating_curve(rows, labels, tree)
    if exact.threshold <= 0.5 or not exact.reachable:
        return
    # What binary search assumes may fail below 0.5: an accuracy that meets the target there leads it on.
    assume(not (curve.accuracy[curve.threshold <= 0.5] >= target).any())
    binary = calibrate(rows, labels, tree, target, "binary_search", reward=reward)
    assert (binary.accuracy, binary.depth, binary.information) == (exact.accuracy, exact.depth, exact.information)
    climbed = calibrate(rows, labels, tree, target, "hill_climb", reward=reward)
    assert climbed.accuracy == pytest.approx(exact.accuracy, abs=0.02)


def test_information_is_rewarded_where_depth_is_cheap() -> None:
    """Below 0.5 the answer may jump to a deep branch that rules out less than a shallow one does."""
    many: Nested = {f"many {leaf}": {} for leaf in range(14)}
    tree = Taxonomy.of_rows(rows_of({"Wide": {"Chain": many}, "Narrow": {"first": {}, "second": {}}}))
    bits = information_bits(tree)
    assert bits[0] == 0
    assert bits[tree.find("first")] == pytest.approx(4)
    assert bits[tree.find("Chain")] == bits[tree.find("Wide")] < bits[tree.find("Narrow")] == pytest.approx(3)
    # Up to 0.45 the answer is Chain, deeper but hardly telling; above it Narrow. Each is right for one photograph.
    rows = np.tile(np.concatenate([np.full(14, 0.45 / 14), [0.3, 0.25]]), (2, 1))
    labels = [1, 14]
    assert [tree.name[answer(rows, tree, threshold).node_ids[0]] for threshold in (0.5, 0.4)] == ["Narrow", "Chain"]
    deepest, most = (calibrate(rows, labels, tree, 0.5, reward=reward) for reward in get_args(Reward))
    assert (deepest.threshold, most.threshold) == (0.45, 0.55)
    assert (deepest.depth, most.depth) == (2, 1)
    assert most.information == pytest.approx(3)
    assert deepest.information < 1


def test_exact_leaves_no_depth_on_the_table() -> None:
    probabilities, labels, tree = _classifier(photos=300)
    chosen = calibrate(probabilities, labels, tree, 0.9)
    for threshold in np.linspace(0, 1, 400):
        nodes = answer(probabilities, tree, threshold).node_ids
        if tree.contains(nodes, labels).mean() >= 0.9:
            assert tree.depth[nodes].mean() <= chosen.depth + 1e-9


def test_hill_climbing_repeats_itself_by_its_seed() -> None:
    probabilities, labels, tree = _classifier(photos=300)
    first, again, other = (
        calibrate(probabilities, labels, tree, 0.9, "hill_climb", seed=seed).threshold for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_target_near_one_is_met_by_abstaining() -> None:
    probabilities, labels, tree = _classifier(photos=300)
    wrong = np.roll(labels, 1)
    for method in ("exact", "binary_search"):
        chosen = calibrate(probabilities, wrong, tree, 0.999, method)
        assert chosen.reachable
        assert chosen.accuracy >= 0.999


@pytest.mark.parametrize("method", ["exact", "binary_search", "hill_climb"])
def test_a_network_that_is_certain_and_wrong_is_reported_as_it_is(method: Method) -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    chosen = calibrate(np.eye(4), np.array([1, 0, 3, 2]), tree, 0.9, method)
    assert not chosen.reachable
    assert chosen.threshold == 1
    assert chosen.accuracy == 0


def test_chunks_and_half_precision_from_a_file_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels, tree = _classifier(photos=200)
    np.save(tmp_path / "p.npy", probabilities.astype(np.float16))
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    whole = calibrate(mapped, labels, tree, 0.9)
    monkeypatch.setattr(tree_sums, "BLOCK_CELLS", tree.class_count * 7)
    assert calibrate(mapped, labels, tree, 0.9) == whole


def test_knowing_more_conditions_the_probabilities() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    row = np.array([[0.3, 0.1, 0.2, 0.4]])
    birds, parrots = tree.find("Aves"), tree.find("Psittaciformes")
    assert tree.name[answer(row, tree, 0.6).node_ids[0]] == "Aves"
    within = answer(row, tree, 0.6, within=[parrots])
    assert tree.name[within.node_ids[0]] == "Nestor notabilis"
    assert within.probabilities[0] == pytest.approx(0.75)
    assert tree.name[answer(row, tree, 0.6, [birds, parrots]).node_ids[0]] == "Nestor"
    assert tree.name[answer(row, tree, 0.6, [parrots], renormalise=False).node_ids[0]] == "Life"


def test_where_nothing_is_left_the_allowed_species_are_alike() -> None:
    tree = Taxonomy.of_rows(rows_of(BIRDS))
    left = restrict(np.array([[0.0, 0.0, 0.0, 1.0]]), tree, [tree.find("Nestor")])
    np.testing.assert_allclose(left, [[0.5, 0.5, 0, 0]])


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[0.5, 0.5]], "photographs x 4 classes"),
        ([[2.0, -1.0, 0.0, 0.0]], "not a probability distribution"),
        ([[3.0, 1.0, 5.0, 2.0]], "apply softmax"),
        ([[np.nan, 0.0, 0.0, 1.0]], "row 0"),
    ],
)
def test_what_is_no_distribution_is_refused(rows: list[list[float]], reason: str) -> None:
    with pytest.raises(SpecificityError, match=reason):
        node_probabilities(np.array(rows), Taxonomy.of_rows(rows_of(BIRDS)))


def test_thresholds_targets_labels_and_priors_are_checked() -> None:
    tree, rows = Taxonomy.of_rows(rows_of(BIRDS)), np.full((2, 4), 0.25)
    with pytest.raises(SpecificityError, match="threshold"):
        answer(rows, tree, 1.5)
    with pytest.raises(SpecificityError, match="no taxon"):
        answer(rows, tree, 0.5, [])
    with pytest.raises(SpecificityError, match="not a node"):
        answer(rows, tree, 0.5, [99])
    with pytest.raises(SpecificityError, match="target"):
        calibrate(rows, [0, 1], tree, 1.0)
    with pytest.raises(SpecificityError, match="method"):
        calibrate(rows, [0, 1], tree, 0.9, "magic")  # type: ignore[arg-type]
    for labels in ([0], [0, 4], [0.0, 1.0]):
        with pytest.raises(SpecificityError, match="labels"):
            operating_curve(rows, labels, tree)


def test_a_curve_survives_its_file(tmp_path: Path) -> None:
    probabilities, labels, tree = _classifier(photos=50)
    curve = operating_curve(probabilities, labels, tree)
    read = OperatingCurve.read(curve.write(tmp_path / "curve.parquet", facts={"why": "test"}))
    np.testing.assert_array_equal(read.threshold, curve.threshold)
    assert read.photos == 50
    assert read.choose(0.9) == curve.choose(0.9)
