"""What a prior says of a place: near occurrences count, by distance, season and exactness; no species is impossible."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml.errors import DataError
from ml.places.prior import PlacePrior, PriorSettings
from ml.places.records import condensed
from ml.places.sites import YEAR, Sites, Where
from tests.ml.places.drawing import SPECIES, at, drawn, joined, near, occurrences, prior_of

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=25)
@given(SEEDS, st.sampled_from([1, 7, 200]), st.sampled_from([0.0, 1.0]), st.sampled_from([0.01, 3.0]))
def test_shares_sum_to_one_and_no_species_is_impossible(
    seed: int, neighbours: int, base_rate: float, floor: float
) -> None:
    records = drawn(seed)
    prior = prior_of(records, neighbours=neighbours, base_rate=base_rate, floor=floor)
    look = prior.look(near(records, seed))
    shares = look.shares(SPECIES)
    assert look.known.all()
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-12)
    weights = look.weights.sum(axis=1, keepdims=True)
    assert (shares >= floor / (weights + SPECIES * floor) * (1 - 1e-6)).all()


@settings(max_examples=30)
@given(SEEDS, st.integers(-60_000, 60_000))
def test_turning_the_earth_changes_nothing(seed: int, steps: int) -> None:
    # Whole steps of the fixed-point longitudes, so that rounding is the same everywhere.
    turn = steps * 180 / 32_768
    records = condensed(drawn(seed))
    turned = records._replace(longitude=((records.longitude + turn + 180) % 360 - 180).astype(np.float32))
    sites = near(records, seed)
    elsewhere = sites._replace(longitude=(sites.longitude + turn + 180) % 360 - 180)
    before, after = prior_of(records).look(sites), prior_of(turned).look(elsewhere)
    assert np.allclose(before.shares(SPECIES), after.shares(SPECIES), atol=1e-3)
    assert np.allclose(before.nearest_km, after.nearest_km, atol=0.01)


@settings(max_examples=25)
@given(SEEDS, st.integers(0, SPECIES - 1), st.sampled_from([0, 1]), st.sampled_from([0.0, 0.5, 1.0]))
def test_one_more_record_of_a_species_never_lowers_its_share_there(
    seed: int, species: int, dated: int, base_rate: float
) -> None:
    # One without a day spreads a species over the year, which with base rates divided out may lower it on its days.
    assume(dated or not base_rate)
    # While all occurrences are neighbours: the width of the kernel is that of the farthest one.
    records = condensed(drawn(seed))
    sites = near(records, seed).rows(slice(1, 2))
    more = occurrences((sites.latitude[0], sites.longitude[0], int(sites.day[0]) * dated, species))
    before = prior_of(records, base_rate=base_rate).look(sites).shares(SPECIES)
    after = prior_of(joined(records, more), base_rate=base_rate).look(sites).shares(SPECIES)
    assert after[0, species] >= before[0, species] - 1e-6


@settings(max_examples=25)
@given(SEEDS, st.sampled_from([5.0, 50.0, 300.0, 30_000.0]))
def test_what_is_left_out_counts_as_if_it_had_never_been_recorded(seed: int, beyond_km: float) -> None:
    records = condensed(drawn(seed))
    site = near(records, seed).rows(slice(1, 2))
    whole = prior_of(records)
    distance, found = whole.neighbours(site, len(records.class_id))
    outside = np.sort(found[0, distance[0] > beyond_km])
    left, expected = whole.look(site, beyond_km=beyond_km), prior_of(records.rows(outside)).look(site)
    assert np.allclose(np.sort(left.weights[0, : len(outside)]), np.sort(expected.weights[0]), atol=1e-6)
    assert not left.weights[0, len(outside) :].any()
    assert left.counts.sum() == len(outside)
    assert np.array_equal(left.known, expected.known)
    assert np.array_equal(left.nearest_km, expected.nearest_km, equal_nan=True)


def test_the_last_day_of_the_year_and_the_first_are_neighbours() -> None:
    prior = prior_of(occurrences((0, 0, YEAR, 0), (0, 0, YEAR // 2, 1)))
    first, last, summer = (prior.look(at(0, 0, day=day)).shares(SPECIES)[0] for day in (1, YEAR - 1, YEAR // 2))
    assert first[0] > 2 * first[1]
    assert np.allclose(first, last, atol=1e-12)
    assert summer[1] > 2 * summer[0]


def test_what_has_no_day_weighs_as_much_as_over_the_whole_year() -> None:
    prior = prior_of(occurrences((0, 0, 100, 0), (0, 0, 0, 1)))
    weights = {day: prior.look(at(0, 0, day=day)) for day in range(1, YEAR + 1)}
    dated = [float(look.weights[0][look.classes[0] == 0].sum()) for look in weights.values()]
    undated = [float(look.weights[0][look.classes[0] == 1].sum()) for look in weights.values()]
    assert np.mean(dated) == pytest.approx(1, abs=1e-6)
    assert undated == [1.0] * YEAR
    assert prior.look(at(0, 0)).weights.tolist() == [[1.0, 1.0]]


def test_nearer_occurrences_count_more_as_far_as_they_are_dense() -> None:
    records = occurrences(*((0, 0.1 * step, 0, step % SPECIES) for step in range(200)))
    look = prior_of(records, neighbours=20).look(at(0, 0))
    assert look.nearest_km[0] == pytest.approx(0, abs=0.4)
    assert (np.diff(look.weights[0]) < 0).all()
    assert look.weights[0, -1] == pytest.approx(np.exp(-2), abs=1e-3)


def test_thousands_of_occurrences_at_one_spot_are_one_place_with_a_count() -> None:
    prior = prior_of(occurrences(*[(10, 20, 50, 0)] * 3_000, *[(10, 20, 50, 1)] * 1_000, (10, 20.5, 50, 2)))
    assert len(prior.records.class_id) == 3
    look = prior.look(at(10, 20, day=50))
    shares = look.shares(SPECIES)[0]
    assert shares[0] / shares[1] == pytest.approx(3, rel=1e-3)
    assert look.occurrences(np.array([0])).tolist() == [3_000]
    alone = prior_of(occurrences(*[(10, 20, 50, 0)] * 300, (0, 0, 0, 1)), species=2, neighbours=1).look(
        at(10, 20.001, day=50)
    )
    assert alone.shares(2)[0, 0] > 0.99


def test_more_rows_at_one_spot_than_neighbours_favour_no_species_and_no_season() -> None:
    rows = [(10, 20, day, species) for species in range(SPECIES) for day in range(1, YEAR + 1)]
    records = prior_of(occurrences(*rows)).records
    _, found = prior_of(records).neighbours(at(10, 20), 120)
    by_species = np.bincount(records.class_id[found[0]], minlength=SPECIES)
    assert by_species.min() > 10
    assert by_species.max() < 30
    assert np.median(records.day[found[0]]) == pytest.approx(YEAR / 2, abs=40)


@pytest.mark.parametrize(("latitude", "longitude", "other", "kilometres"), [
    (90, 0, (89.99, 137), 1.1), (-90, -180, (-89.99, 3), 1.1), (0, 180, (0, -179.99), 1.1), (0, -180, (0, 180), 0),
])  # fmt: skip
def test_poles_and_date_line_are_places_like_others(
    latitude: float, longitude: float, other: tuple[float, float], kilometres: float
) -> None:
    elsewhere = [(10, 90, 0, species) for species in range(SPECIES)]
    look = prior_of(occurrences((*other, 0, 2), *elsewhere)).look(at(latitude, longitude))
    assert look.known.all()
    assert look.nearest_km[0] == pytest.approx(kilometres, abs=0.5)
    assert look.shares(SPECIES)[0].argmax() == 2


def test_far_from_every_occurrence_all_species_are_alike() -> None:
    prior = prior_of(occurrences((-41, 174, 30, 0), (-41, 174, 40, 0)), far_km=500)
    look = prior.look(Sites.of([Where(latitude=51, longitude=0, day=30), Where(latitude=-41, longitude=170), None]))
    assert look.known.tolist() == [False, True, False]
    assert look.shares(SPECIES)[0].tolist() == pytest.approx([1 / SPECIES] * SPECIES)
    assert look.shares(SPECIES)[2].tolist() == pytest.approx([1 / SPECIES] * SPECIES)
    assert look.nearest_km[0] > 18_000
    assert np.isnan(look.nearest_km[2])
    assert prior.knows(at(51, 0)).tolist() == [False]


def test_a_prior_without_any_occurrence_knows_nothing() -> None:
    prior = prior_of(occurrences())
    look = prior.look(at(1, 2, day=3))
    assert not look.known.any()
    assert not prior.knows(at(1, 2)).any()
    assert look.shares(4).tolist() == [[0.25] * 4]
    assert prior_of(drawn(1)).look(Sites.of([])).shares(SPECIES).shape == (0, SPECIES)


def test_a_species_without_any_usable_place_keeps_its_chance() -> None:
    records = occurrences((0, 0, 0, 0), (0, 0, 0, 0), (0, 1, 0, 1), (np.nan, np.nan, 0, 2))
    prior = prior_of(records, species=4)
    assert prior.unplaced.tolist() == [2, 3]
    shares = prior.look(at(0, 0)).shares(4)[0]
    assert shares[2:].tolist() == pytest.approx([0.25, 0.25])
    assert shares[0] > 0.25 > shares[1]


def test_base_rates_divided_out_leave_how_a_species_is_spread() -> None:
    records = occurrences(*[(0, 0.01 * number, 0, 0) for number in range(50)], *[(0, 0.1, 0, 1)] * 5)
    as_recorded, evened = (
        prior_of(records, species=2, base_rate=power, width=1.4).look(at(0, 0.1)).shares(2)[0] for power in (0, 1)
    )
    assert as_recorded[0] > as_recorded[1]
    assert evened[1] > evened[0]


def test_an_uncertain_occurrence_never_outvotes_an_exact_one() -> None:
    exact, uncertain = occurrences((0, 0, 0, 0)), occurrences((0, 0, 0, 1), uncertainty_m=15_000)
    far = occurrences((0, 0.2, 0, 2))
    look = prior_of(joined(exact, uncertain, far)).look(Sites.of([
        Where(latitude=0, longitude=0), Where(latitude=0, longitude=0, uncertainty_m=30_000),
    ]))  # fmt: skip
    sharp, blurred = (dict(zip(look.classes[row].tolist(), look.weights[row], strict=True)) for row in range(2))
    assert sharp[0] > sharp[1]
    # Asked with an uncertain place, the difference between occurrences is smaller.
    assert blurred[1] / blurred[0] > sharp[1] / sharp[0]
    assert blurred[2] / blurred[0] > sharp[2] / sharp[0]


@settings(max_examples=15)
@given(seed=SEEDS)
def test_what_is_read_answers_as_what_was_written(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    records = drawn(seed)
    prior = prior_of(records, width=0.35, exponent=0.7)
    read = PlacePrior.read(prior.write(tmp_path_factory.mktemp("prior") / "place_prior.safetensors"))
    assert (read.settings, read.class_count) == (prior.settings, prior.class_count)
    sites = near(records, seed)
    before, after = prior.look(sites), read.look(sites)
    assert np.array_equal(before.shares(SPECIES), after.shares(SPECIES))
    assert np.array_equal(before.nearest_km, after.nearest_km)
    assert np.array_equal(before.occurrences(np.zeros(5, np.int32)), after.occurrences(np.zeros(5, np.int32)))


def test_bad_settings_are_refused() -> None:
    for name, value in {"width": 0, "floor": 0, "neighbours": 0, "season_days": np.nan, "exponent": -1}.items():
        with pytest.raises(ValueError, match=name):
            PriorSettings.model_validate({name: value})


def test_a_class_beyond_the_taxonomy_is_refused() -> None:
    with pytest.raises(DataError, match="class 6 of 6"):
        prior_of(occurrences((0, 0, 0, 6)))
