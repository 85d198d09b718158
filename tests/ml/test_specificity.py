"""Specificity control against a literal depth-first traversal, and what its curve and its searches promise."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml import tree_sums
from ml.operating import DECIMALS, Floats, OperatingCurve
from ml.specificity import (
    Method,
    SpecificityError,
    answer,
    calibrate,
    node_probabilities,
    operating_curve,
    restrict,
)
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import BIRDS, random_rows, random_tree, rows_of

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


@settings(max_examples=150, deadline=None)
@given(seed=seeds, threshold=thresholds, uneven=st.booleans())
def test_answers_agree_with_the_depth_first_traversal(*, seed: int, threshold: float, uneven: bool) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves=int(generator.integers(2, 14)), uneven=uneven)
    rows = random_rows(generator, photos=6, classes=tree.class_count)
    answers = answer(rows, tree, threshold)
    assert answers.node_ids.tolist() == [depth_first(row, tree, threshold) for row in rows]
    expected = node_probabilities(rows, tree)[np.arange(6), answers.node_ids]
    np.testing.assert_allclose(answers.probabilities, expected, atol=10.0**-DECIMALS)


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


@settings(max_examples=100, deadline=None)
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
