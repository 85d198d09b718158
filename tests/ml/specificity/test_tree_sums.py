"""Sums over the tree: exact in integers, the same for NumPy and PyTorch, bounded in memory, and no bad row passes."""

import mmap
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from ml.specificity import tree_sums
from ml.specificity.answers import candidates
from ml.specificity.tree_sums import (
    HALF_ONE,
    HALVES,
    SpecificityError,
    best_paths,
    best_per_depth,
    blocks,
    node_probabilities,
    range_sums,
)
from ml.taxonomy import Floats, Taxonomy
from tests.ml.specificity_fixtures import BIRDS, random_rows, random_tree, rows_of


@pytest.fixture
def birds() -> Taxonomy:
    return Taxonomy.of_rows(rows_of(BIRDS))


def test_every_half_precision_probability_is_its_multiple_of_the_unit() -> None:
    bits = np.arange(HALF_ONE + 1, dtype=np.uint16)
    np.testing.assert_array_equal(np.ldexp(HALVES[bits].astype(np.float64), -24), bits.view(np.float16))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("uneven", [False, True])
def test_the_best_of_each_depth_is_what_all_sums_say(*, kind: type[np.floating], uneven: bool) -> None:
    generator = np.random.default_rng(3)
    for _ in range(60):
        tree = random_tree(generator, leaves=int(generator.integers(2, 25)), uneven=uneven)
        rows = random_rows(generator, photos=4, classes=tree.class_count).astype(kind)
        node_ids, best = best_per_depth(rows, tree)
        nodes = node_probabilities(rows, tree)
        for depth, level in enumerate(tree.levels):
            np.testing.assert_allclose(best[:, depth], nodes[:, level].max(axis=1), atol=1e-15)
            assert (tree.depth[node_ids[:, depth]] == depth).all()
            np.testing.assert_allclose(nodes[np.arange(4), node_ids[:, depth]], best[:, depth], atol=1e-15)
        assert (np.diff(best, axis=1) <= 0).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("uneven", [False, True])
def test_the_best_lineage_to_each_depth_is_what_adding_along_all_of_them_gives(
    *, kind: type[np.floating], uneven: bool
) -> None:
    generator = np.random.default_rng(4)
    for _ in range(60):
        tree = random_tree(generator, leaves=int(generator.integers(1, 25)), uneven=uneven)
        rows = random_rows(generator, photos=4, classes=tree.class_count).astype(kind)
        # In half precision a row may sum to a little more than one, and so may its lineages.
        nodes = sum_up_freely(rows.astype(np.float64), tree)
        sums = np.stack([nodes[:, list(tree.lineage(node)[1:])].sum(axis=1) for node in range(tree.node_count)], axis=1)
        node_ids, probabilities, along = best_paths(rows, tree)
        photos = np.arange(4)
        assert (along[:, 0] == 0).all()
        for depth, level in enumerate(tree.levels):
            assert (tree.depth[node_ids[:, depth]] == depth).all()
            np.testing.assert_allclose(along[:, depth], sums[:, level].max(axis=1), atol=1e-14)
            np.testing.assert_allclose(sums[photos, node_ids[:, depth]], along[:, depth], atol=1e-14)
            expected = np.minimum(nodes[photos, node_ids[:, depth]], 1)
            np.testing.assert_allclose(probabilities[:, depth], expected, atol=1e-15)


def sum_up_freely(rows: Floats, tree: Taxonomy) -> Floats:
    return np.stack(
        [rows[:, begin:end].sum(axis=1) for begin, end in zip(tree.leaf_begin, tree.leaf_end, strict=True)], 1
    )


def test_sums_of_half_precision_do_not_depend_on_their_order(birds: Taxonomy) -> None:
    """0.1 + 0.2 + 0.3 + 0.4 as float16, summed from either end, is one number."""
    row = np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float16)
    exact = sum(int(value * 2**24) for value in row[0].astype(np.float64)) / 2**24
    assert node_probabilities(row, birds)[0, 0] == min(exact, 1)
    assert best_per_depth(row, birds)[1][0, 0] == min(exact, 1)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_have_the_same_sums_as_arrays(kind: torch.dtype) -> None:
    generator = np.random.default_rng(4)
    tree = random_tree(generator, leaves=30, uneven=True)
    rows = torch.from_numpy(random_rows(generator, photos=5, classes=tree.class_count)).to(kind)
    tensor = node_probabilities(rows, tree)
    assert tensor.dtype == torch.float64
    np.testing.assert_allclose(tensor.numpy(), node_probabilities(rows.double().numpy(), tree), atol=1e-15)


def test_sums_of_tensors_can_be_learnt_through(birds: Taxonomy) -> None:
    rows = torch.full((1, 4), 0.25, requires_grad=True)
    node_probabilities(rows, birds)[0, birds.find("Nestor")].backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    assert rows.grad.tolist() == [[1, 1, 0, 0]]


def test_tensors_are_checked_like_arrays(birds: Taxonomy) -> None:
    with pytest.raises(SpecificityError, match="photographs x 4 classes"):
        node_probabilities(torch.full((2, 3), 1 / 3), birds)
    with pytest.raises(SpecificityError, match="row 1 is not"):
        node_probabilities(torch.tensor([[0.25] * 4, [1.0, 1.0, 0.0, 0.0]]), birds)


@pytest.mark.parametrize("bad", [[np.nan, 0, 0, 1], [np.inf, 0, 0, 0], [1.5, -0.5, 0, 0], [0.5, 0, 0, 0]])
@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_a_bad_row_of_a_stream_is_named_by_its_number(
    kind: type[np.floating], bad: list[float], birds: Taxonomy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_sums, "BLOCK_CELLS", 8)
    rows = np.full((50, 4), 0.25, dtype=kind)
    rows[33] = bad
    with pytest.raises(SpecificityError, match="row 33 is not a probability distribution"):
        candidates(rows, birds)


def test_a_row_whose_sum_leaves_the_integers_is_refused() -> None:
    tree = Taxonomy.of_rows(rows_of({f"leaf {number}": {} for number in range(257)}))
    with pytest.raises(SpecificityError, match="sum 257"):
        candidates(np.ones((1, 257), dtype=np.float16), tree)


def test_a_probability_just_above_one_is_a_rounding(birds: Taxonomy) -> None:
    _, best = best_per_depth(np.array([[1.001, 0, 0, 0]], dtype=np.float16), birds)
    assert (best == 1).all()


def test_ranges_are_summed_for_all_or_for_each_photograph(birds: Taxonomy) -> None:
    rows = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    begin, end = np.array([0, 2], dtype=np.int32), np.array([2, 4], dtype=np.int32)
    np.testing.assert_allclose(range_sums(rows, begin, end, birds), [[0.3, 0.7], [0.8, 0.2]])
    each = range_sums(rows, np.array([[0], [3]], dtype=np.int32), np.array([[1], [4]], dtype=np.int32), birds)
    np.testing.assert_allclose(each, [[0.1], [0.1]])


def test_threads_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    tree = random_tree(generator, leaves=20)
    rows = random_rows(generator, photos=300, classes=tree.class_count)
    whole = candidates(rows, tree)
    monkeypatch.setattr(tree_sums, "BLOCK_CELLS", tree.class_count * 7)
    divided = candidates(rows, tree)
    np.testing.assert_array_equal(divided.node_ids, whole.node_ids)
    np.testing.assert_array_equal(divided.probabilities, whole.probabilities)


def test_a_pass_over_a_file_gives_its_pages_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, classes = 4_000, 8_000
    target = np.lib.format.open_memmap(tmp_path / "p.npy", mode="w+", dtype=np.float16, shape=(rows, classes))
    target[:] = np.float16(1 / classes)
    target.flush()
    del target
    monkeypatch.setattr(tree_sums, "RELEASE_BYTES", 4_000_000)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    process, held = psutil.Process(), []
    before = process.memory_info().rss
    for block in blocks(mapped):
        mapped[block].max()
        held.append(process.memory_info().rss - before)
    assert max(held) < mapped.nbytes / 3


def test_a_private_mapping_keeps_what_was_written_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "p.npy", np.full((200, 4), 0.25))
    monkeypatch.setattr(tree_sums, "RELEASE_BYTES", mmap.PAGESIZE)
    monkeypatch.setattr(tree_sums, "BLOCK_CELLS", 40)
    changed = np.load(tmp_path / "p.npy", mmap_mode="c")
    changed[:] = [1.0, 0.0, 0.0, 0.0]
    for block in blocks(changed):
        assert (changed[block, 0] == 1).all()
    assert (changed[:, 0] == 1).all()
