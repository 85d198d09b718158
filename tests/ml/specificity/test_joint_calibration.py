"""Sets of photographs are calibrated as such: copies are promised no more than one photograph, others more."""

from pathlib import Path

import numpy as np
import pytest

from ml.errors import DataError
from ml.spec import SpecificityOptions
from ml.specificity.answers import candidates, select
from ml.specificity.calibration import Labelled, calibrate_network
from ml.specificity.joint_calibration import calibrate_joint
from ml.specificity.joint_thresholds import JOINT_FILE, JointThresholds
from ml.specificity.pooling import pool
from ml.taxonomy import Floats, Integers, Taxonomy
from tests.ml.specificity_fixtures import Nested, rows_of

TREE: Nested = {
    kingdom: {f"{kingdom} {rank}": {f"{kingdom} {rank} {leaf}": {} for leaf in range(4)} for rank in range(3)}
    for kingdom in ("Animalia", "Plantae")
}
OPTIONS = SpecificityOptions(target=0.9)


def evidence_of(labels: Integers, *, generator: np.random.Generator, alike: float, photos: int) -> Floats:
    """Photographs of organisms; the share `alike` of what misleads the network is common to all of one organism."""
    siblings = np.arange(24) // 4 == (labels // 4)[:, None]
    common, own = (generator.normal(size=(len(labels), number, 24)) for number in (1, photos))
    logits = 1.5 * (np.sqrt(alike) * common + np.sqrt(1 - alike) * own)
    logits[np.arange(len(labels)), :, labels] += 2.25
    logits += 1.2 * siblings[:, None, :]
    powers = np.exp(logits - logits.max(axis=2, keepdims=True))
    rows: Floats = powers / powers.sum(axis=2, keepdims=True)
    return rows


def world(*, alike: float, organisms: int = 1_600, photos: int = 3, observed: bool = True) -> tuple[Labelled, Taxonomy]:
    """Half of the organisms calibrate, half evaluate."""
    generator = np.random.default_rng(11)
    labels = generator.integers(24, size=organisms).astype(np.int32)
    rows = evidence_of(labels, generator=generator, alike=alike, photos=photos).reshape(-1, 24)
    half = np.repeat(np.arange(organisms) % 2 == 0, photos)
    observations = np.repeat([f"o{number}" for number in range(organisms)], photos).astype(object)
    data = Labelled(
        probabilities=rows.astype(np.float16), labels=np.repeat(labels, photos), chooses=half, judges=~half,
        observations=observations if observed else None,
    )  # fmt: skip
    return data, Taxonomy.of_rows(rows_of(TREE))


def calibrated(
    data: Labelled, tree: Taxonomy, options: SpecificityOptions = OPTIONS, *, temperature: float = 1.0
) -> JointThresholds:
    joint = calibrate_joint(data, tree, options, temperature=temperature)
    assert joint is not None
    return joint


def test_copies_of_a_photograph_are_promised_no_more_than_the_photograph() -> None:
    data, tree = world(alike=1.0)
    outcome = calibrate_network(data, tree, OPTIONS.model_copy(update={"temperature": True}))
    joint, single = calibrated(data, tree, temperature=outcome.temperature), outcome.judged
    assert joint.basis == "observation"
    assert joint.dependence > 0.85
    for size in joint.sizes:
        point = size.point(0.9)
        assert point is not None
        assert point.depth == pytest.approx(single.depth, abs=0.08)
        assert point.accuracy_high >= 0.9


def test_independent_photographs_are_answered_deeper_and_the_promise_is_held() -> None:
    data, tree = world(alike=0.0)
    joint, single = calibrated(data, tree), calibrate_network(data, tree, OPTIONS).judged
    assert joint.dependence < 0.1
    depths = [size.points[size.table.position(0.9)].depth for size in joint.sizes]
    assert [size.photos for size in joint.sizes] == [2, 3]
    assert single.depth + 0.2 < depths[0] < depths[1]
    for size in joint.sizes:
        for target in (0.8, 0.9, 0.95):
            point = size.point(target)
            assert point is not None
            assert point.accuracy_low <= max(target, point.accuracy)
            assert point.accuracy_high >= target


def test_thresholds_of_single_photographs_would_break_the_promise_where_photographs_are_alike() -> None:
    """Why sets have thresholds of their own: photographs multiplied as if they were independent are too sure."""
    data, tree = world(alike=0.8)
    single = calibrate_network(data, tree, OPTIONS)
    judged = data.judges.reshape(-1, 3)[:, 0]
    rows, labels = data.probabilities[:].astype(float).reshape(-1, 3, 24)[judged], data.labels[::3][judged]
    threshold = single.judged.threshold
    multiplied = select(candidates(pool(rows, dependence=0.0), tree), threshold)
    assert tree.contains(multiplied.node_ids, labels).mean() < 0.85
    joint = calibrated(data, tree)
    size = joint.sizes[-1]
    found = candidates(pool(rows, dependence=joint.dependence), tree)
    answered = select(found, size.table.thresholds[size.table.position(0.9)][0])
    point = size.point(0.9)
    assert point is not None
    assert tree.contains(answered.node_ids, labels).mean() == pytest.approx(point.accuracy)
    assert point.accuracy_low <= 0.9 <= point.accuracy_high


def test_labels_of_the_half_that_judges_choose_nothing() -> None:
    data, tree = world(alike=0.3, organisms=300)
    other = Labelled(**{**vars(data), "labels": np.where(data.judges, (data.labels + 1) % 24, data.labels)})
    first, second = calibrated(data, tree), calibrated(other, tree)
    assert first.dependence == second.dependence
    for one, two in zip(first.sizes, second.sizes, strict=True):
        np.testing.assert_array_equal(one.table.thresholds, two.table.thresholds)
        assert one.points[0].accuracy != two.points[0].accuracy


def test_without_enough_observations_sets_are_of_one_species_and_never_guaranteed() -> None:
    data, tree = world(alike=0.0, organisms=1_200, photos=1)
    joint = calibrated(data, tree, SpecificityOptions(target=0.8, delta=0.1))
    assert joint.basis == "species"
    assert [size.photos for size in joint.sizes] == [2, 3, 4, 5]
    assert not any(point.guaranteed for size in joint.sizes for point in size.points)
    observed, _ = world(alike=0.0, organisms=600, photos=2)
    promised = calibrated(observed, tree, SpecificityOptions(target=0.8, delta=0.1))
    assert promised.basis == "observation"
    (size,) = promised.sizes
    assert all(point.guaranteed for point in size.points)
    # Every fourth observation of the half fitted the dependence, and chose nothing.
    assert size.chosen_on == 225


def test_where_sets_are_too_few_nothing_is_promised() -> None:
    data, tree = world(alike=0.0, organisms=38, photos=2)
    assert calibrate_joint(data, tree, OPTIONS, temperature=1.0) is None


def test_greater_sets_than_there_were_fall_back_to_the_greatest() -> None:
    data, tree = world(alike=0.2, organisms=200)
    joint = calibrated(data, tree)
    assert joint.fitting(2) is joint.sizes[0]
    assert joint.fitting(9) is joint.sizes[1]
    assert joint.fitting(9, 0.9) is joint.sizes[1]
    assert joint.fitting(9, 0.9999) is None


def test_the_memory_and_the_fit_may_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    data, tree = world(alike=0.0)
    whole = calibrated(data, tree)
    monkeypatch.setattr("ml.specificity.joint_calibration.HELD_BYTES", 24 * 2 * 900)
    monkeypatch.setattr("ml.specificity.joint_calibration.FIT_CELLS", 24 * 4 * 100)
    monkeypatch.setattr("ml.specificity.joint_calibration.BLOCK_CELLS", 24 * 7)
    part = calibrated(data, tree)
    assert [size.chosen_on for size in part.sizes] == [300, 300]
    assert [size.chosen_on for size in whole.sizes] == [800, 800]
    assert part.dependence == pytest.approx(whole.dependence, abs=0.1)


def test_the_file_holds_all_and_damage_is_told(tmp_path: Path) -> None:
    data, tree = world(alike=0.3, organisms=300)
    joint = calibrated(data, tree, SpecificityOptions(target=0.9, groups="kingdom", group_photos=30))
    read = JointThresholds.read(joint.write(tmp_path / JOINT_FILE, keys=dict(enumerate(tree.taxon_key))))
    assert (read.dependence, read.basis) == (joint.dependence, joint.basis)
    for one, two in zip(read.sizes, joint.sizes, strict=True):
        assert (one.photos, one.chosen_on) == (two.photos, two.chosen_on)
        assert [point.model_dump() for point in one.points] == [point.model_dump() for point in two.points]
        assert one.points[0].photos == two.points[0].photos == 150
        assert len(one.table.groups) == 3
        np.testing.assert_array_equal(one.table.thresholds, two.table.thresholds)
        np.testing.assert_array_equal(one.table.reachable, two.table.reachable)
    (tmp_path / JOINT_FILE).write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="run the calibration again"):
        JointThresholds.read(tmp_path / JOINT_FILE)
    with pytest.raises(DataError, match="run the calibration again"):
        JointThresholds.read(tmp_path / "missing.parquet")
