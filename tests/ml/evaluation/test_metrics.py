"""Numbers by hand on six answers, and what holds for any: order of ranks, shares, and files written in pieces."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.evaluation.metrics import SIZES, Answers, confused_pairs, flat, measure, write_metrics, write_pairs
from ml.spec import RANKS
from ml.taxonomy import Taxonomy
from tests.ml.world import World

LINEAGE = np.array([[1, 2, 3], [1, 2, 4], [1, 5, 6], [7, 8, 9]], dtype=np.int32)
"""Four classes of rank `class`: two of one phylum, a third of their kingdom, one of another."""


@pytest.fixture
def answers() -> Answers:
    top = np.array([[0, 1], [0, 1], [0, 2], [1, 0], [2, 1], [3, 1]])
    return Answers(
        labels=np.array([0, 0, 0, 1, 1, 2]),
        top_ids=top,
        top_probabilities=np.tile(np.array([0.75, 0.25], dtype=np.float32), (6, 1)),
    )


def test_numbers(answers: Answers) -> None:
    measured = measure(answers, lineage=LINEAGE, sizes=np.array([10, 1, 2, 0]))
    found = flat(measured)
    assert found["top1"] == pytest.approx(4 / 6)
    assert found["top5"] == pytest.approx(5 / 6)
    assert found["macro_top1"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["ece"] == pytest.approx(0.75 - 4 / 6)
    assert found["accuracy_class"] == found["top1"]
    assert found["accuracy_phylum"] == pytest.approx(4 / 6)
    assert found["accuracy_kingdom"] == pytest.approx(5 / 6)
    assert found["top1_classes_of_10_to_19"] == 1.0
    assert found["top1_classes_of_1_to_9"] == pytest.approx(1 / 3)
    assert "top1_classes_of_50_to_99" not in found
    assert found["errors_within_phylum"] == 0
    assert found["errors_within_kingdom"] == found["errors_beyond_kingdom"] == 0.5
    photos = {one.name: one.photos for one in measured}
    assert (photos["top1"], photos["top1_classes_of_10_to_19"], photos["errors_within_phylum"]) == (6, 3, 2)


def test_pairs_that_are_taken_for_each_other(answers: Answers) -> None:
    more = Answers(
        labels=np.array([1, 2, 2, 3, 0]),
        top_ids=np.array([[2], [1], [1], [2], [0]]),
        top_probabilities=np.ones((5, 1), dtype=np.float32),
    )
    first, second = confused_pairs(more, lineage=LINEAGE)
    assert (first.class_id, first.other_class_id, first.rank) == (1, 2, "kingdom")
    assert (first.taken_for_other, first.other_taken_for_it) == (1, 2)
    assert (second.class_id, second.other_class_id, second.rank) == (2, 3, "")
    assert (second.taken_for_other, second.other_taken_for_it) == (0, 1)
    assert confused_pairs(more, lineage=LINEAGE, most=1) == [first]


def test_a_stage_of_genera_has_its_own_lineage(world: World) -> None:
    tree = Taxonomy.read(world.taxonomy)
    genera, species = (tree.lineages_at(RANKS.index(rank) + 1)[:, 1:] for rank in ("genus", "species"))
    assert genera.shape == (1, 6)
    assert [tree.rank[node] for node in genera[0]] == list(RANKS[:6])
    assert species.shape == (3, 7)
    assert np.array_equal(species[:, :6], np.repeat(genera, 3, axis=0))


def test_tables(answers: Answers, tmp_path: Path) -> None:
    measured = measure(answers, lineage=LINEAGE, sizes=np.array([10, 1, 2, 0]))
    rows = pq.read_table(write_metrics({"validation": measured, "train": measured[:1]}, tmp_path / "m.parquet"))
    assert rows.column_names == ["side", "metric", "group", "value", "photos"]
    assert rows.num_rows == len(measured) + 1
    pairs = confused_pairs(answers, lineage=LINEAGE)
    table = pq.read_table(write_pairs({"validation": pairs}, tmp_path / "c.parquet", names=["a", "b", "c", "d"]))
    assert {(row["name"], row["other_name"]) for row in table.to_pylist()} == {("b", "c"), ("c", "d")}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Answers, np.ndarray, np.ndarray]:
    """Any answers on any tree of three ranks."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes, photos = draw(st.integers(1, 12)), draw(st.integers(1, 60))
    kingdoms = np.sort(generator.integers(0, 2, classes))
    phyla = 10 + 2 * kingdoms + np.sort(generator.integers(0, 2, classes))
    lineage = np.stack([kingdoms, phyla, 100 + np.arange(classes)], axis=1).astype(np.int32)
    probabilities = generator.dirichlet(np.ones(classes), photos)
    top = np.argsort(-probabilities, axis=1)[:, :5]
    answers = Answers(
        labels=generator.integers(0, classes, photos),
        top_ids=top,
        top_probabilities=np.take_along_axis(probabilities, top, axis=1).astype(np.float32),
    )
    return answers, lineage, generator.integers(0, 800, classes)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_what_holds_for_any_answers(case: tuple[Answers, np.ndarray, np.ndarray]) -> None:
    answers, lineage, sizes = case
    measured = measure(answers, lineage=lineage, sizes=sizes)
    found = flat(measured)
    assert len(found) == len(measured), "no two numbers have one name"
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in found.values())
    assert found["top1"] <= found["top5"]
    assert found["top1"] == found["accuracy_class"] <= found["accuracy_phylum"] <= found["accuracy_kingdom"]
    shares = [one for one in measured if one.metric == "errors"]
    errors = int((~answers.right).sum())
    assert bool(shares) == bool(errors)
    if errors:
        assert sum(one.value for one in shares) == pytest.approx(1)
        assert {one.photos for one in shares} == {errors}
    by_size = [one for one in measured if one.metric == "top1_classes_of"]
    unseen = int((sizes[answers.labels] < SIZES[0][0]).sum())
    assert sum(one.photos for one in by_size) == len(answers.labels) - unseen
    pairs = confused_pairs(answers, lineage=lineage)
    assert sum(pair.taken_for_other + pair.other_taken_for_it for pair in pairs) == errors
    assert all(pair.class_id < pair.other_class_id for pair in pairs)
