"""Ranges and seasons come from the key of a species alone, most of them overlap, and the look-alikes' do not."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.habits import DAYS, Habits, Season, habits_of
from demo.lineage import accepted, synonym
from demo.organisms.look_alikes import APART_IN_PLACE, APART_IN_SEASON, habits_in_list
from demo.organisms.source import Kind, read_kinds
from demo.records import RANKS
from demo.towns import TOWNS, distance_km, town


@pytest.fixture(scope="module")
def kinds() -> dict[str, Kind]:
    """The species list, by name."""
    return {kind.taxon.lineage["species"].name: kind for kind in read_kinds()}


def _places(habits: Habits) -> set[str]:
    return {one.name for one, density in zip(TOWNS, habits.range.densities, strict=True) if density}


def _days(habits: Habits) -> set[int]:
    return {day for day in range(1, DAYS + 1) if habits.season.holds(day)}


def test_a_distance_is_the_one_on_the_map() -> None:
    assert distance_km(town("Auckland")[1:], town("Wellington")[1:]) == pytest.approx(490, abs=10)
    assert distance_km((0.0, 179.0), (0.0, -179.0)) == pytest.approx(222.4, abs=0.1)


def test_habits_stay_when_a_species_is_met_under_another_name() -> None:
    taxon = accepted(dict.fromkeys(RANKS, "") | {"genus": "Morus", "species": "Morus alba"})
    renamed = synonym(taxon, name="Morus tatarica")
    assert renamed.taxon_key != taxon.taxon_key
    assert habits_of(renamed.accepted_key) == habits_of(taxon.accepted_key)


def test_most_ranges_and_seasons_overlap_and_some_do_not() -> None:
    drawn = [habits_of(str(key)) for key in range(120)]
    for part in (_places, _days):
        sets = [part(habits) for habits in drawn]
        shared = [bool(one & other) for one, other in itertools.combinations(sets, 2)]
        assert 0.8 < sum(shared) / len(shared) < 0.97
        assert all(sets), "every species is found somewhere, some day"
    assert {len(habits.range.centres) for habits in drawn} == {1, 2}
    assert 0.05 < sum(math.isinf(habits.range.extent_km) for habits in drawn) / 120 < 0.3
    assert 0.1 < sum(habits.season.width_days is None for habits in drawn) / 120 < 0.4
    assert 0 < sum(habits.threatened for habits in drawn) < 15


@given(
    st.integers(1, DAYS),
    st.floats(10, 60) | st.none(),
    st.floats(0, 1, exclude_max=True),
)
def test_a_day_of_the_season_is_in_it_and_the_opposite_is_not(peak: int, width: float | None, chance: float) -> None:
    season = Season(peak=peak, width_days=width)
    assert 1 <= season.day(chance) <= DAYS
    assert 1 <= season.opposite(chance) <= DAYS
    assert season.holds(season.day(chance))
    assert season.holds(season.opposite(chance)) == (width is None)


@pytest.mark.parametrize("names", [APART_IN_PLACE, APART_IN_SEASON])
def test_look_alikes_are_relatives_that_differ_less_than_individuals_do(
    kinds: dict[str, Kind], names: tuple[str, str]
) -> None:
    one, other = (kinds[name] for name in names)
    assert one.taxon.lineage["genus"] == other.taxon.lineage["genus"]
    assert (one.look.plan, one.look.pattern, one.look.habitat) == (
        other.look.plan,
        other.look.pattern,
        other.look.habitat,
    )
    assert math.dist(one.look.main, other.look.main) < 25
    assert min(one.photos, other.photos) > 20, "enough of both to learn from and to judge by"


def test_look_alikes_are_apart_in_place_or_in_season_alone(kinds: dict[str, Kind]) -> None:
    near, far = (
        tuple(habits_in_list(kinds[name].taxon) for name in pair) for pair in (APART_IN_SEASON, APART_IN_PLACE)
    )
    assert near[0].range == near[1].range
    assert not _days(near[0]) & _days(near[1])
    assert far[0].season == far[1].season
    assert not _places(far[0]) & _places(far[1])
