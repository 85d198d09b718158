"""Observations follow the habits of their species but for a few strays, and a few records are wrong about it."""

import itertools
import json
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from demo.folder import COLUMNS, FolderSource
from demo.gbif.dates import first_day
from demo.habits import habits_of
from demo.observers import OBSERVERS, home
from demo.organisms.look_alikes import habits_in_list
from demo.organisms.source import RenderedSource, observations_of, read_kinds
from demo.records import Occurrence
from demo.sightings import CELL, obscured_uncertainty_m, sighting
from demo.towns import distance_km

Place = tuple[float, float]


@pytest.fixture(scope="module")
def drawn() -> list[Occurrence]:
    """Every usual observation, as it was first identified."""
    return [one for kind in read_kinds() for one in observations_of(kind)]


def _place(one: Occurrence) -> Place | None:
    """The place, where nothing is wrong with it and nothing hides it."""
    usual = one.latitude is not None and one.latitude < 0 and not one.information_withheld
    odd = "COUNTRY_COORDINATE_MISMATCH" in one.issues
    return (one.latitude, one.longitude) if usual and not odd and one.latitude and one.longitude else None


def _strays(observations: Sequence[Occurrence]) -> tuple[float, float]:
    """Shares outside the range, and outside the season."""
    outside, late = [], []
    for one in observations:
        habits, place, day = habits_in_list(one.taxon), _place(one), first_day(one.event_date)
        if place:
            outside.append(not habits.range.holds(*place))
        if day and "/" not in one.event_date:
            late.append(not habits.season.holds(date.fromisoformat(day).timetuple().tm_yday))
    return statistics.mean(outside), statistics.mean(late)


def test_a_few_observations_are_strays(drawn: list[Occurrence]) -> None:
    outside, late = _strays(drawn)
    assert 0.01 < outside < 0.05
    assert 0.005 < late < 0.04


def test_some_records_are_wrong_or_vague_about_place_and_date(drawn: list[Occurrence]) -> None:
    issues = Counter(issue for one in drawn for issue in one.issues)
    assert (
        min(issues[name] for name in ("ZERO_COORDINATE", "COORDINATE_OUT_OF_RANGE", "COUNTRY_COORDINATE_MISMATCH")) > 1
    )
    assert sum(one.latitude == one.longitude == 0 for one in drawn) == issues["ZERO_COORDINATE"]
    withheld = Counter(re.sub(r"\d+", "N", one.information_withheld) for one in drawn)
    assert set(withheld) == {
        "",
        "Coordinate uncertainty increased to Nm to protect threatened taxon",
        "Coordinate uncertainty increased to Nm at the request of the observer",
        "Coordinates hidden at the request of the observer",
    }
    assert withheld[""] > 0.9 * len(drawn)
    assert 0.05 < sum(one.uncertainty_m is None for one in drawn) / len(drawn) < 0.12
    shapes = Counter(re.sub(r"\d", "9", one.event_date) for one in drawn)
    assert set(shapes) == {
        *("9999-99-99T99:99:99", "9999-99-99T99:99", "9999-99-99", "9999-99-99/9999-99-99"),
        *("9999-99-99T99:99/9999-99-99T99:99", "9999-99", "9999"),
    }
    assert shapes["9999-99-99T99:99:99"] > len(drawn) / 2


def test_an_obscured_uncertainty_is_what_inaturalist_states(shared: Path) -> None:
    lines = (shared / "gbif" / "inat_records.jsonl").read_text().splitlines()
    records = [one for one in map(json.loads, lines) if "increased" in (one.get("informationWithheld") or "")]
    assert len(records) > 100
    right = [obscured_uncertainty_m(one["decimalLatitude"]) == one["coordinateUncertaintyInMeters"] for one in records]
    assert sum(not one for one in right) <= 1, "all recorded ones but one"


def test_an_obscured_place_stays_in_its_cell() -> None:
    threatened = next(habits for habits in map(habits_of, map(str, range(200))) if habits.threatened)
    seen = [sighting(str(number), habits=threatened) for number in range(300)]
    moved = [one for one in seen if "threatened" in one.information_withheld]
    assert len(moved) > 280
    cells: Counter[tuple[float, float]] = Counter()
    for one in moved:
        assert one.latitude is not None
        assert one.longitude is not None
        assert one.uncertainty_m == obscured_uncertainty_m(one.latitude)
        assert 26_500 < one.uncertainty_m < 29_000
        assert f"increased to {one.uncertainty_m:.0f}m to protect threatened taxon" in one.information_withheld
        cells[one.latitude // CELL, one.longitude // CELL] += 1
    assert max(cells.values()) > 3


def test_observers_live_somewhere(drawn: list[Occurrence]) -> None:
    observed: dict[str, list[Place]] = {}
    for one in drawn:
        if place := _place(one):
            observed.setdefault(one.recorded_by, []).append(place)
    assert 24 < len(observed) <= len(OBSERVERS)
    away = [
        statistics.median(distance_km(place, home(who)[1:]) for place in places) for who, places in observed.items()
    ]
    assert statistics.median(away) < 150
    apart = [
        distance_km(one, other)
        for one, other in itertools.combinations([place for places in observed.values() for place in places[:3]], 2)
    ]
    assert statistics.median(apart) > 2 * statistics.median(away)


def test_an_observation_stays_where_and_when_it_was_made() -> None:
    first, second = ({one.gbif_id: one for one in RenderedSource(release).occurrences()} for release in (1, 2))
    both = first.keys() & second.keys()
    assert any(first[key].taxon != second[key].taxon for key in both), "some are identified anew"
    for key in both:
        one, other = first[key], second[key]
        assert (one.latitude, one.longitude, one.event_date) == (other.latitude, other.longitude, other.event_date)
        assert one.recorded_by == other.recorded_by


def test_species_of_a_folder_have_ranges_too(tmp_path: Path) -> None:
    lines = [",".join(COLUMNS)]
    for number in range(60):
        (tmp_path / f"{number}.jpg").write_bytes(b"")
        lines.append(
            f"{number}.jpg,Plantae,,,,,Morus,Morus {'alba' if number % 2 else 'rubra'},,,{'' if number else 'Ana'}"
        )
    table = tmp_path / "photos.csv"
    table.write_text("\n".join(lines) + "\n")
    found = FolderSource(csv=table, release=1).occurrences()
    inside = [
        habits_of(one.taxon.accepted_key).range.holds(*place) for one in found if (place := _place(one)) is not None
    ]
    assert sum(inside) > 0.9 * len(inside) > 40
    observers = {one.recorded_by for one in found}
    assert "Ana" in observers, "who is stated stays"
    assert len(observers) > 5
