"""What place and season add: by hand in a tiny world, by group, and with nearby records left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from ml.places.composition import compose
from ml.places.prior import PlacePrior, PriorSettings, Records
from ml.places.sites import Sites
from ml.spec import CalibrateSpec, SpecificityOptions
from ml.specificity.calibration import Labelled, calibrate_network
from ml.specificity.place_accuracy import (
    LEFT_OUT_KM,
    TRAINED,
    UNKNOWN,
    UNTRAINED,
    Origins,
    PlaceAccuracy,
    bootstrap,
    by_size,
    class_names,
    measure,
    place_accuracy,
)
from ml.specificity.place_accuracy_files import SCHEMA, accuracy_metrics, read_accuracy, read_origins, write_accuracy
from ml.specificity.place_calibration import Places, calibrate_places
from ml.specificity.place_figures import draw_place_figures, groups_figure, left_out_figure
from ml.specificity.place_marks import Calibrated, Marks, case_marks
from ml.taxonomy import Floats, Taxonomy
from tests.ml.placed import FAR, write_places
from tests.ml.specificity_fixtures import BIRDS, rows_of
from tests.pictures import blemishes

TREE = Taxonomy.of_rows(rows_of(BIRDS))
OPTIONS = SpecificityOptions(target=0.8)
WIDE = np.array([(-37.0, 175.0), (-45.0, 169.0), (-28.0, 153.0), (-20.0, 130.0)])
"""Ranges of four species, hundreds of kilometres wide."""
GARDENS = np.array([(-37.0, 175.0), (-37.0, 175.02), (-37.02, 175.0), (-37.02, 175.02)])
"""Four gardens of one town, a species to each."""


def world(homes: Floats, *, spread: float, observations: int = 400, seed: int = 0) -> Calibrated:
    """Photographs of a network that is often wrong, two of each observation, with places around the species' homes."""
    generator = np.random.default_rng(seed)
    species = generator.integers(4, size=observations)
    labels = np.repeat(species, 2)
    logits = generator.normal(size=(len(labels), 4)) * 1.5 + 1.2 * np.eye(4)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(observations), 2)

    def scatter(of: npt.NDArray[np.integer]) -> tuple[Floats, Floats]:
        latitude, longitude = (homes[of] + generator.normal(size=(len(of), 2), scale=spread)).T
        return latitude.copy(), longitude.copy()

    latitude, longitude = scatter(species)
    latitude[::40], longitude[::40] = FAR
    day = np.where(np.arange(observations) % 10, 100.0, np.nan)
    learnt = np.repeat(np.arange(4), 60)
    there, over = scatter(learnt)
    records = Records(
        there.astype(np.float32), over.astype(np.float32), np.full(len(learnt), np.nan, np.float32),
        np.full(len(learnt), 100, np.uint16), learnt.astype(np.int32),
    )  # fmt: skip
    judges = rows % 2 == 1
    data = Labelled(
        probabilities=probabilities, labels=labels.astype(np.int32), chooses=~judges, judges=judges,
        observations=np.array([f"o{row}" for row in rows], dtype=object),
    )  # fmt: skip
    places = Places(records, Sites(latitude, longitude, np.full(observations, 30.0), day).rows(rows))
    alone = calibrate_network(data, TREE, OPTIONS)
    found = calibrate_places(data, places, alone, TREE, OPTIONS)
    return Calibrated(data=data, places=places, found=found, alone=alone, taxonomy=TREE)


@pytest.fixture(scope="module")
def wide() -> Calibrated:
    return world(WIDE, spread=1.5)


@pytest.fixture(scope="module")
def gardens() -> Calibrated:
    return world(GARDENS, spread=0.002)


def curve(table: list[PlaceAccuracy], case: str) -> list[PlaceAccuracy]:
    return [one for one in table if (one.grouping, one.case) == ("left_out", case)]


def test_where_ranges_are_wide_nothing_is_lost_without_the_records_nearby(wide: Calibrated) -> None:
    for case in ("place", "place_and_date"):
        near, *_, far = curve(place_accuracy(wide, None), case)
        assert (near.left_out_km, far.left_out_km) == (LEFT_OUT_KM[0], LEFT_OUT_KM[-1])
        assert near.gain is not None
        assert far.gain is not None
        assert far.gain_low is not None
        assert near.gain > 0.15
        assert far.gain > 0.9 * near.gain
        assert far.gain_low > 0.1


def test_where_all_photographs_are_of_one_town_nothing_is_left_without_the_records_nearby(gardens: Calibrated) -> None:
    found = place_accuracy(gardens, None)
    neither = curve(found, "neither")
    assert len({one.top1 for one in neither}) == 1
    for case in ("place", "place_and_date"):
        near, five, *_, far = curve(found, case)
        assert near.gain is not None
        assert near.gain > 0.3
        # Within 5 km lies every record: the photograph alone decides, with the thresholds of that case.
        for one in (five, far):
            assert (one.gain, one.gain_low, one.gain_high) == (0, 0, 0)
            assert (one.accuracy, one.depth, one.log_loss) == (
                neither[0].accuracy, neither[0].depth, neither[0].log_loss
            )  # fmt: skip


def test_marks_are_those_of_the_composed_distributions(wide: Calibrated) -> None:
    rows, prior, data = wide.judges, wide.found.prior, wide.data
    assert prior is not None
    assert data.judges[rows].all()
    assert (~np.isnan(wide.places.sites.day[rows])).all()
    for one in wide.found.cases:
        sites = wide.places.sites if one.case == "place_and_date" else wide.places.sites.without_days()
        for beyond in (0.0, 50.0):
            marks = case_marks(wide, rows, beyond_km=beyond)[one.case]
            look = prior.look(sites.rows(rows), beyond_km=beyond)
            assert look.known.all()
            leaves = compose(np.asarray(data.probabilities[rows]), look, exponent=prior.settings.exponent)
            labels = data.labels[rows]
            np.testing.assert_array_equal(marks.top1, leaves.argmax(axis=1) == labels)
            np.testing.assert_allclose(marks.loss, -np.log(leaves[np.arange(len(rows)), labels]), rtol=1e-9)
    # The photographs that are in every case are compared by the calibration, too.
    compared = {one.case: one for one in wide.found.compared}
    for each in place_accuracy(wide, None)[:3]:
        own = compared[each.case]
        assert (each.photos, each.top1, each.accuracy, each.depth, each.abstention) == (
            own.photos, own.top1, own.accuracy, own.depth, own.abstention
        )  # fmt: skip


def marks(top1: list[int], *, loss: float = 0.5) -> Marks:
    right = np.array(top1, dtype=bool)
    depth = np.where(right, 7.0, 0.0)
    return Marks(top1=right, loss=np.full(len(right), loss), right=right, depth=depth, abstains=depth == 0)


def test_the_numbers_of_a_tiny_world() -> None:
    neither, place = measure(
        {"neither": marks([1, 0, 0, 0, 1]), "place": marks([1, 1, 1, 0, 0], loss=0.25)},
        np.array(["a", "a", "b", "b", "c"], dtype=object), grouping="class", group="Aves", seed=1,
    )  # fmt: skip
    assert (neither.top1, place.top1) == (0.4, 0.6)
    assert (neither.gain, neither.gain_low, neither.gain_high) == (None, None, None)
    assert place.gain == pytest.approx(0.2)  # two were gained, one was lost, of five
    assert (place.photos, place.observations, place.group, place.left_out_km) == (5, 3, "Aves", 0)
    assert (place.log_loss, place.depth, place.abstention) == pytest.approx((0.25, 4.2, 0.4))
    # The observations a, b and c have 1/2, 1/2 and -1/1: three draws lie between all c and no c.
    assert (place.gain_low, place.gain_high) == (-1.0, 0.5)


def test_the_bootstrap_draws_observations_not_photographs() -> None:
    generator = np.random.default_rng(3)
    of_observation = generator.integers(-1, 2, size=200).astype(float)
    gains, observations = np.repeat(of_observation, 9), np.repeat(np.arange(200), 9)
    low, high = bootstrap(gains, observations, seed=0)
    # As wide as that of 200 independent numbers, and three times as wide as that of 1,800.
    assert high - low == pytest.approx(2 * 1.96 * of_observation.std() / np.sqrt(200), rel=0.05)
    alone = bootstrap(gains, np.arange(1_800), seed=0)
    assert (high - low) / (alone[1] - alone[0]) == pytest.approx(3, rel=0.1)
    drawn = np.random.default_rng(1).integers(200, size=(4_000, 200))
    slow = np.quantile(of_observation[drawn].mean(axis=1), [0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(slow), abs=0.02)


def test_groups_are_parts_of_all_photographs(wide: Calibrated) -> None:
    count, generator = len(wide.data.labels), np.random.default_rng(2)
    region = generator.choice(["NZ", "AU", UNKNOWN], count, p=[0.6, 0.3, 0.1]).astype(object)
    observer = generator.choice([TRAINED, UNTRAINED, UNKNOWN], count).astype(object)
    table = place_accuracy(wide, Origins(region=region, observer=observer))
    whole = {one.case: one for one in table if one.grouping == "all"}
    for grouping, names in {
        "class": class_names(TREE)[wide.data.labels], "region": region, "observer": observer
    }.items():  # fmt: skip
        for case, own in whole.items():
            parts = [one for one in table if (one.grouping, one.case) == (grouping, case)]
            assert [one.group for one in parts] == by_size(names[wide.judges])
            assert sum(one.photos for one in parts) == own.photos == len(wide.judges)
            assert sum(one.photos * one.top1 for one in parts) == pytest.approx(own.photos * own.top1)
            assert sum(one.photos * one.log_loss for one in parts) == pytest.approx(own.photos * own.log_loss)
            assert all(one.top1_low <= one.top1 <= one.top1_high for one in parts)
    assert list(class_names(TREE)) == ["Aves", "Aves", "Aves", "Magnoliopsida"]


def test_many_photographs_are_drawn_from_for_the_curve(wide: Calibrated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.specificity.place_accuracy.MOST_LEFT_OUT", 50)
    table = place_accuracy(wide, None)
    assert {one.photos for one in table if one.grouping == "left_out"} == {50}
    assert {one.photos for one in table if one.grouping == "all"} == {len(wide.judges)}
    assert table == place_accuracy(wide, None)


def test_without_cases_there_is_nothing_to_tell(wide: Calibrated, tmp_path: Path) -> None:
    nothing = replace(wide, found=replace(wide.found, cases=(), prior=None, compared=()))
    assert place_accuracy(nothing, None) == []
    assert draw_place_figures([], folder=tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_the_table_says_what_its_columns_mean_and_metrics_come_from_it(gardens: Calibrated, tmp_path: Path) -> None:
    table = place_accuracy(gardens, None)
    file = write_accuracy(table, tmp_path / "place_accuracy.parquet")
    assert read_accuracy(file) == table
    assert all(field.metadata[b"description"].endswith(b".") for field in pq.read_schema(file))
    assert SCHEMA.names == list(PlaceAccuracy.__dataclass_fields__)
    metrics = accuracy_metrics(table)
    gain = next(one for one in table if one.grouping == "all" and one.case == "place").gain
    assert metrics["place/gain"] == gain
    assert metrics["place_and_date/gain_50_km_left_out"] == 0
    assert {"neither/log_loss", "place/log_loss", "place/gain_low", "place/gain_high"} <= set(metrics)


def test_country_and_observer_are_read_from_the_places(tmp_path: Path) -> None:
    split, file = write_places(tmp_path, np.arange(40) % 4)
    spec = CalibrateSpec(
        predictions=split, places=file, probabilities=file, taxonomy=file, output=tmp_path, network="baseline",
        spec_hash="c0ffee",
    )  # fmt: skip
    table = pq.read_table(file).to_pylist()
    for row in table:
        if row["occurrence_key"] == "0":
            row |= {"country": None, "observer": None}
        if row["occurrence_key"] == "1":
            row |= {"country": "AU", "observer": "someone new"}
    pq.write_table(pq.read_table(file).from_pylist(table, schema=pq.read_schema(file)), file)
    assert read_origins(spec) is None
    found = read_origins(spec.model_copy(update={"split": split}))
    assert found is not None
    assert list(found.region[:3]) == [UNKNOWN, "AU", "NZ"]
    assert list(found.observer[:3]) == [UNKNOWN, UNTRAINED, TRAINED]


def test_pictures_can_be_read_and_are_the_same_bytes_again(wide: Calibrated, tmp_path: Path) -> None:
    count = len(wide.data.labels)
    names = np.array(["a country with a very long name indeed", "NZ", "AU"], dtype=object)[np.arange(count) // 2 % 3]
    table = place_accuracy(wide, Origins(region=names, observer=np.full(count, TRAINED, object)))
    few = [replace(one, photos=5) if one.group == "AU" else one for one in table]
    assert blemishes(left_out_figure(table)) == []
    figure = groups_figure(few)
    assert figure is not None
    assert blemishes(figure) == []
    labels = [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]
    assert not any(label.startswith("AU") for label in labels)
    assert groups_figure([one for one in table if one.grouping == "left_out"]) is None
    drawn = draw_place_figures(table, folder=tmp_path)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert len(first) == 2 * len(drawn) == 4
    draw_place_figures(table, folder=tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first


def test_a_prior_that_learnt_other_places_says_nothing_here(wide: Calibrated) -> None:
    """Every photograph is far from all records: each case is answered as `neither`."""
    elsewhere = PlacePrior(records=wide.places.records, class_count=4, settings=PriorSettings(far_km=1e-6))
    table = place_accuracy(replace(wide, found=replace(wide.found, prior=elsewhere)), None)
    assert {one.gain for one in table if one.case != "neither"} == {0.0}
