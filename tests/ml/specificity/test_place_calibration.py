"""Each case of what is known of a photograph has a calibration of its own, on what the prior makes of its answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.evaluation.predictions import StoredProbabilities
from ml.places.composition import compose
from ml.places.prior import EARTH_KM, PlacePrior, PriorSettings, Records, unit
from ml.places.sites import Sites
from ml.spec import SpecificityOptions
from ml.specificity.answers import candidates, select
from ml.specificity.calibration import Labelled, calibrate_network, divide
from ml.specificity.composed import ComposedProbabilities
from ml.specificity.place_calibration import LEAST, PlaceOutcome, Places, calibrate_places
from ml.specificity.pooling import pool
from ml.specificity.temperature import SMALLEST, temper
from ml.specificity.tree_sums import node_probabilities
from ml.taxonomy import Floats, Taxonomy
from tests.ml.placed import FAR, HOMES, scattered
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy

OPTIONS = SpecificityOptions(target=0.9, watch_list=("Plantae > Morus",))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    return Taxonomy.read(write_taxonomy(tmp_path_factory.mktemp("tree") / "taxonomy.parquet", rows_of(BIRDS)))


def world(*, observations: int = 300, photographs: int = 2, seed: int = 0) -> tuple[Labelled, Places]:
    """Photographs of observations in two halves, a tenth of them without a place and a twelfth without a day."""
    generator = np.random.default_rng(seed)
    species = generator.integers(len(HOMES), size=observations)
    labels = np.repeat(species, photographs)
    # Photographs of one organism are alike.
    logits = np.repeat(generator.normal(size=(observations, 4)), photographs, axis=0)
    logits += generator.normal(size=logits.shape) + 1.5 * np.eye(4)[labels]
    probabilities = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    latitude, longitude, day = (column.astype(float) for column in scattered(species, generator))
    latitude[::10] = longitude[::10] = np.nan
    latitude[3::20], longitude[3::20] = FAR
    day[5::12] = np.nan
    uncertainty = np.where(np.arange(observations) % 5, 30.0, 15_000.0)
    rows = np.repeat(np.arange(observations), photographs)
    learnt = np.repeat(np.arange(len(HOMES)), 50)
    there, over, then = scattered(learnt, generator)
    records = Records(
        there.astype(np.float32), over.astype(np.float32), np.full(len(learnt), np.nan, np.float32),
        then.astype(np.uint16), learnt.astype(np.int32),
    )  # fmt: skip
    chooses = generator.permutation(observations)[rows] % 2 == 0
    data = Labelled(
        probabilities=probabilities.astype(np.float16), labels=labels.astype(np.int32), chooses=chooses,
        judges=~chooses, observations=np.array([f"o{row}" for row in rows], dtype=object),
    )  # fmt: skip
    return data, Places(records, Sites(latitude, longitude, uncertainty, day).rows(rows))


def calibrated(data: Labelled, places: Places, tree: Taxonomy, options: SpecificityOptions = OPTIONS) -> PlaceOutcome:
    return calibrate_places(data, places, calibrate_network(data, tree, options), tree, options)


def composed(found: PlaceOutcome, data: Labelled, places: Places, case: str) -> Floats:
    """Every distribution of the validation side, composed at once."""
    assert found.prior is not None
    sites = places.sites if case == "place_and_date" else places.sites.without_days()
    look = found.prior.look(sites)
    return compose(np.asarray(data.probabilities[:]), look, exponent=found.prior.settings.exponent)


@pytest.mark.parametrize("chosen", [{}, {"temperature": True}, {"groups": "kingdom", "group_photos": 20}])
def test_the_thresholds_of_each_case_keep_every_target_on_the_half_that_chose_them(
    tree: Taxonomy, chosen: dict[str, object]
) -> None:
    for seed in range(3):
        data, places = world(seed=seed)
        found = calibrated(data, places, tree, OPTIONS.model_copy(update=chosen))
        assert [one.case for one in found.cases] == ["place", "place_and_date"]
        for one in found.cases:
            rows = one.rows[data.chooses[one.rows]]
            leaves = composed(found, data, places, one.case)[rows]
            answers, table = candidates(leaves, tree, temperature=one.outcome.temperature), one.outcome.table
            groups = table.group_of(answers)
            for row in np.flatnonzero(table.reachable.all(axis=1)).tolist():
                nodes = select(answers, table.of_groups(row)[groups]).node_ids
                assert tree.contains(nodes, data.labels[rows]).mean() >= table.targets[row]


def test_photographs_that_the_prior_knows_nothing_of_belong_to_the_case_neither(tree: Taxonomy) -> None:
    data, places = world()
    found = calibrated(data, places, tree)
    here = unit(places.records.latitude, places.records.longitude)
    angles = np.arccos(np.clip(unit(places.sites.latitude, places.sites.longitude) @ here.T, -1, 1))
    near = angles.min(axis=1) * EARTH_KM <= 500
    assert 0.8 < near.mean() < 0.9
    np.testing.assert_array_equal(found.cases[0].rows, np.flatnonzero(near))
    np.testing.assert_array_equal(found.cases[1].rows, np.flatnonzero(near & ~np.isnan(places.sites.day)))
    assert found.left_out == ()
    # Alarms read what the photograph alone says.
    assert all(one.outcome.watch == () for one in found.cases)


def test_the_cases_are_compared_on_the_same_photographs(tree: Taxonomy) -> None:
    data, places = world(observations=800)
    found = calibrated(data, places, tree)
    neither, place, dated = found.compared
    assert (neither.case, place.case, dated.case) == ("neither", "place", "place_and_date")
    same = found.cases[1].rows[data.judges[found.cases[1].rows]]
    assert neither.photos == place.photos == dated.photos == len(same)
    assert neither.top1 == pytest.approx((np.asarray(data.probabilities[same]).argmax(1) == data.labels[same]).mean())
    best = composed(found, data, places, "place_and_date")[same].argmax(axis=1)
    assert dated.top1 == pytest.approx((best == data.labels[same]).mean())
    assert neither.top1 + 0.1 < place.top1 < dated.top1
    assert neither.depth < place.depth < dated.depth
    for one in found.cases:
        assert one.outcome.judged.accuracy_low < 0.9 < one.outcome.judged.accuracy_high
    assert (neither.accuracy, neither.depth) == (found.cases[1].alone.accuracy, found.cases[1].alone.depth)
    assert (dated.accuracy, dated.depth) == (
        found.cases[1].outcome.judged.accuracy,
        found.cases[1].outcome.judged.depth,
    )


@pytest.mark.parametrize("temperature", [False, True])
def test_what_a_guarantee_is_chosen_on_has_no_part_in_the_prior_nor_in_the_temperature(
    tree: Taxonomy, *, temperature: bool
) -> None:
    data, places = world(observations=1_600, photographs=1)
    options = OPTIONS.model_copy(update={"delta": 0.1, "temperature": temperature, "target": 0.8})
    found = calibrated(data, places, tree, options)
    fits, chooses = divide(data, options.model_copy(update={"temperature": True}))
    assert not (fits & chooses).any()
    for one in found.cases:
        assert one.outcome.choosers == chooses[one.rows].sum()
        assert one.outcome.judged.guaranteed
        assert one.outcome.judged.reachable
    other = data.labels.copy()
    other[chooses] = (other[chooses] + 1) % 4
    again = calibrated(replace(data, labels=other), places, tree, options)
    assert found.prior is not None
    assert again.prior is not None
    assert found.prior.settings == again.prior.settings != PriorSettings()
    for one, same in zip(found.cases, again.cases, strict=True):
        assert one.outcome.temperature == same.outcome.temperature
        assert one.outcome.judged.threshold != same.outcome.judged.threshold


def test_a_case_of_too_few_observations_is_left_out_and_said(tree: Taxonomy) -> None:
    data, places = world()
    undated = places.sites._replace(day=np.where(np.arange(600) < 60, places.sites.day, np.nan))
    found = calibrated(data, places._replace(sites=undated), tree)
    assert [one.case for one in found.cases] == ["place"]
    assert [one.case for one in found.compared] == ["neither", "place"]
    (said,) = found.left_out
    assert f"{LEAST} of each are the least" in said
    assert "a place and a date" in said
    few = Sites(*(np.where(np.arange(600) < 60, column, np.nan) for column in places.sites))
    nothing = calibrated(data, places._replace(sites=few), tree)
    assert (nothing.prior, nothing.cases, nothing.compared) == (None, (), ())
    unlearnt = calibrated(data, places._replace(records=places.records.rows(np.zeros(200, bool))), tree)
    assert (unlearnt.prior, unlearnt.cases) == (None, ())
    assert "no prior is learnt" in unlearnt.left_out[0]


def test_several_photographs_are_calibrated_with_the_prior_once(tree: Taxonomy) -> None:
    data, places = world(observations=400, photographs=3)
    options = OPTIONS.model_copy(update={"temperature": True})
    found = calibrated(data, places, tree, options)
    for one in found.cases:
        assert one.joint is not None
        assert one.joint.basis == "observation"
        assert [size.photos for size in one.joint.sizes] == [2, 3]
        point = one.joint.sizes[-1].point(0.9)
        assert point is not None
        assert point.reachable
        assert point.accuracy_low < 0.9 <= point.accuracy_high
    assert found.prior is not None
    one = found.cases[-1]
    own, sites = np.asarray(data.probabilities[one.rows], np.float64), places.sites.rows(one.rows)
    tempered, temperature = temper(own, one.outcome.temperature), one.outcome.temperature
    look, exponent = found.prior.look(sites), found.prior.settings.exponent
    # Of one photograph the order makes no difference, but for probabilities that count as zero where they are tempered.
    joined = compose(pool(tempered[:, None], dependence=0.5), look, exponent=exponent / temperature)
    leaves = compose(own, look, exponent=exponent)
    whole = leaves.min(axis=1) >= SMALLEST
    assert whole.mean() > 0.1
    np.testing.assert_allclose(joined[whole], temper(leaves, temperature)[whole], atol=1e-6)


def test_sets_of_different_individuals_have_no_place_in_common(tree: Taxonomy) -> None:
    data, places = world(photographs=1)
    assert all(one.joint is None for one in calibrated(data, places, tree).cases)


def lazily(
    probabilities: npt.NDArray[np.floating] | StoredProbabilities, rows: npt.NDArray[np.intp], places: Places,
    **settings: float,
) -> ComposedProbabilities:  # fmt: skip
    prior = PlacePrior(records=places.records, class_count=4, settings=PriorSettings.model_validate(settings))
    return ComposedProbabilities(probabilities, rows, prior=prior, sites=places.sites.rows(rows))


def test_composing_block_by_block_and_summing_up_the_tree_is_summing_the_composed_leaves(
    tree: Taxonomy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, places = world()
    rows, alone = np.arange(0, 600, 3), np.asarray(data.probabilities[:])
    column = pa.FixedSizeListArray.from_arrays(pa.array(alone.ravel()), 4)
    pq.write_table(pa.table({"probabilities": column}), tmp_path / "p.parquet", row_group_size=64)
    stored = StoredProbabilities(tmp_path / "p.parquet")
    prior = PlacePrior(records=places.records, class_count=4, settings=PriorSettings())
    leaves = compose(alone[rows].astype(np.float64), prior.look(places.sites.rows(rows)), exponent=1.0)
    made = lazily(stored, rows, places)
    assert (made.shape, made.size, len(made)) == ((200, 4), 800, 200)
    for some in (slice(None), slice(7, 90), np.array([3, 150, 9]), np.arange(200) % 7 == 0):
        np.testing.assert_array_equal(made[some], leaves[some])
    monkeypatch.setattr("ml.specificity.tree_sums.BLOCK_CELLS", 40)
    found, sums = candidates(made, tree), node_probabilities(leaves, tree)
    np.testing.assert_array_equal(found.node_ids, candidates(leaves, tree).node_ids)
    np.testing.assert_allclose(found.probabilities, np.take_along_axis(sums, found.node_ids, axis=1), atol=1e-11)
    for depth in range(tree.max_depth + 1):
        np.testing.assert_allclose(found.probabilities[:, depth], sums[:, tree.depth == depth].max(axis=1), atol=1e-11)


def test_a_prior_that_says_nothing_changes_nothing() -> None:
    data, places = world()
    rows, alone = np.arange(600), np.asarray(data.probabilities[:], np.float64)
    nowhere = places._replace(sites=places.sites._replace(latitude=np.full(600, np.nan)))
    np.testing.assert_array_equal(lazily(alone, rows, places, exponent=0)[:], alone)
    np.testing.assert_array_equal(lazily(alone, rows, nowhere)[:], alone)
    np.testing.assert_array_equal(lazily(alone, rows, places, far_km=1e-6)[:], alone)
    # Every species has the same weight.
    exact = alone / alone.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(lazily(exact, rows, places, floor=1e12)[:], exact, atol=1e-9)
