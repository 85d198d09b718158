"""Thresholds per group and per target: each group meets its target, small groups share, and the table is looked up."""

from pathlib import Path

import numpy as np
import pytest

from ml.errors import DataError
from ml.spec import SpecificityOptions
from ml.specificity.answers import candidates, select
from ml.specificity.calibration import Labelled, calibrate_network, divide, reliability
from ml.specificity.thresholds import Half, ThresholdTable, judge_table, learn, promises
from ml.specificity.tree_sums import SpecificityError
from ml.taxonomy import Taxonomy
from tests.ml.specificity_fixtures import Nested, random_rows, rows_of

KINGDOMS: Nested = {
    kingdom: {f"{kingdom} {rank}": {f"{kingdom} {rank} {leaf}": {} for leaf in range(4)} for rank in range(2)}
    for kingdom in ("Animalia", "Fungi", "Plantae")
}
"""Kingdom, phylum, and leaves at depth 3."""


def _options(**chosen: object) -> SpecificityOptions:
    return SpecificityOptions.model_validate({"target": 0.9, **chosen})


def _photographs(photos: int = 3_000, *, seed: int = 8) -> tuple[Half, Taxonomy]:
    """Animals are easy, plants hard, fungi rare."""
    generator = np.random.default_rng(seed)
    tree = Taxonomy.of_rows(rows_of(KINGDOMS))
    shares = np.repeat([0.5, 0.02, 0.48], 8) / 8
    labels = generator.choice(24, size=photos, p=shares)
    logits = generator.normal(size=(photos, 24)) * 1.4
    logits[np.arange(photos), labels] += np.where(labels < 8, 4.0, 1.2)
    logits[np.arange(24) // 8 == (labels // 8)[:, None]] += 2.5
    exponential = np.exp(logits)
    rows = exponential / exponential.sum(axis=1, keepdims=True)
    return Half(found=candidates(rows, tree), labels=labels.astype(np.int32)), tree


def test_the_target_is_met_within_every_group_where_one_threshold_fails_some() -> None:
    half, tree = _photographs()
    single = learn(half, tree, targets=[0.9], options=_options())
    grouped = learn(half, tree, targets=[0.9], options=_options(groups="kingdom"))
    assert [tree.name[node] for node in grouped.groups] == ["Life", "Animalia", "Plantae"]
    nodes = half.found.node_ids[:, 1]
    accuracies = {}
    for name, table in (("single", single), ("grouped", grouped)):
        answers = select(half.found, table.thresholds[0][table.group_of(half.found)])
        right = tree.contains(answers.node_ids, half.labels)
        accuracies[name] = [float(right[nodes == node].mean()) for node in grouped.groups[1:]]
    assert min(accuracies["grouped"]) >= 0.9
    assert min(accuracies["single"]) < 0.9
    assert judge_table(grouped, half, tree, target=0.9).accuracy >= 0.9


def test_groups_that_are_few_even_together_get_the_strictest_threshold() -> None:
    half, tree = _photographs()
    table = learn(half, tree, targets=[0.9], options=_options(groups="kingdom", group_photos=100))
    fungi = half.found.node_ids[:, 1] == tree.find("Fungi")
    assert 0 < fungi.sum() < 100
    assert (table.group_of(half.found)[fungi] == 0).all()
    assert table.thresholds[0, 0] == table.thresholds[0, 1:].max()
    together = learn(half, tree, targets=[0.9], options=_options(groups="kingdom", group_photos=20))
    assert tree.find("Fungi") in together.groups


@pytest.mark.parametrize(
    ("options", "promised"),
    [
        (_options(groups="kingdom"), False),
        (_options(delta=0.1), True),
        (_options(delta=0.1, groups="kingdom", group_photos=20), True),
        (_options(delta=0.1, groups="kingdom", group_photos=100), False),
    ],
    ids=["an estimate", "one threshold", "fungi are a group", "fungi are too few"],
)
def test_what_is_borrowed_is_not_promised(options: SpecificityOptions, promised: bool) -> None:  # noqa: FBT001
    half, tree = _photographs()
    assert promises(learn(half, tree, targets=[0.8], options=options), half, options) == promised


def test_the_table_is_looked_up_without_interpolation(tmp_path: Path) -> None:
    half, tree = _photographs()
    written = learn(half, tree, targets=[0.8, 0.9], options=_options(groups="kingdom"))
    table = ThresholdTable.read(written.write(tmp_path / "t.parquet", keys=dict(enumerate(tree.taxon_key))))
    np.testing.assert_array_equal(table.thresholds, written.thresholds)
    np.testing.assert_array_equal(table.groups, written.groups)
    assert table.group_depth == 1
    assert table.row(0.5) == table.row(0.8) == 0
    assert table.row(0.81) == table.row(0.9) == 1
    with pytest.raises(ValueError, match=r"reaches an accuracy of 91.0%; the most is 90.0%"):
        table.row(0.91)
    with pytest.raises(DataError, match="not a table of thresholds"):
        ThresholdTable.read(tmp_path / "absent.parquet")


def test_a_rank_that_the_tree_does_not_have_is_refused() -> None:
    half, tree = _photographs(300)
    every = np.ones(300, dtype=bool)
    rows = random_rows(np.random.default_rng(1), photos=300, classes=24)
    data = Labelled(probabilities=rows, labels=half.labels, chooses=every, judges=every)
    with pytest.raises(SpecificityError, match="the taxonomy has no order"):
        calibrate_network(data, tree, SpecificityOptions(target=0.9, groups="order"))


def test_a_guarantee_keeps_the_temperatures_photographs_apart_by_observation() -> None:
    chooses = np.arange(400) < 300
    observations = np.array([f"o{row // 3}" for row in range(400)], dtype=object)
    data = Labelled(
        probabilities=np.zeros((400, 1)), labels=np.zeros(400, dtype=np.int32), chooses=chooses, judges=~chooses,
        observations=observations,
    )  # fmt: skip
    fits, left = divide(data, SpecificityOptions(target=0.9, delta=0.05, temperature=True))
    assert not (fits & left).any()
    assert ((fits | left) == chooses).all()
    assert not set(observations[fits]) & set(observations[left])
    assert fits.sum() == pytest.approx(75, abs=6)
    estimate = divide(data, SpecificityOptions(target=0.9, temperature=True))
    assert (estimate[0] == chooses).all()
    assert (estimate[1] == chooses).all()
    # The recall of a watch-list is promised with or without a guarantee of the answers.
    watched = divide(data, SpecificityOptions(target=0.9, temperature=True, watch_list=("Morus",)))
    assert (watched[0] == fits).all()
    assert (watched[1] == left).all()


def test_reliability_tells_an_honest_network_from_a_boaster() -> None:
    generator = np.random.default_rng(6)
    tree = Taxonomy.of_rows(rows_of(KINGDOMS))
    rows = random_rows(generator, photos=4_000, classes=24, sharpness=1.0)
    labels = (rows.cumsum(axis=1) > generator.random((4_000, 1))).argmax(axis=1).astype(np.int32)
    honest = reliability(Half(found=candidates(rows, tree), labels=labels), tree)
    boast = reliability(Half(found=candidates(rows, tree, temperature=0.3), labels=labels), tree)
    assert honest.error < 0.02
    assert boast.error > 0.1
    assert (honest.low <= honest.accuracy).all()
    assert int(honest.photos.sum()) == 4_000 * 3
