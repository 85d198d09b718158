"""The list of a place: which records count where, in which months, and what is said of those who have none."""

import math
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.config.settings import Settings
from pipeline.errors import ListError, TableError
from pipeline.pages.place_list import MOST_UNCERTAIN_KM, completeness
from pipeline.pages.place_words import about_completeness, about_nothing, heading, in_groups
from tests.pipeline.pages.place_world import AUCKLAND, HIDDEN, KM, counts, listed, make_world, record
from tests.pipeline.tiny import Row

SOUTH, EAST = AUCKLAND


FLY: Row = {"class": "Insecta", "class_key": "216", "order": "Diptera", "order_key": "811"}
CLASSLESS: Row = {"class": None}


def north_by(kilometres: float) -> tuple[float, float]:
    return SOUTH + kilometres * KM, EAST


def test_the_most_recorded_species_comes_first_and_equals_in_order_of_names(settings: Settings) -> None:
    make_world(settings, [record("Zosterops lateralis"), *[record()] * 3, record("Anas superciliosa")])
    found = listed(settings)
    assert counts(found.here) == {"Turdus merula": 3, "Anas superciliosa": 1, "Zosterops lateralis": 1}
    assert [row["share"] for row in found.here] == [0.6, 0.2, 0.2]
    assert (found.records, found.near, found.other_months, found.nearest) == (5, [], [], None)


def test_a_record_is_here_near_by_or_not_listed(settings: Settings) -> None:
    distances = {"Turdus a": 24.9, "Turdus b": 25.1, "Turdus c": 49.9, "Turdus d": 50.1}
    make_world(settings, [record(name, at=north_by(distance)) for name, distance in distances.items()])
    found = listed(settings)
    assert list(counts(found.here)) == ["Turdus a"]
    assert list(counts(found.near)) == ["Turdus b", "Turdus c"]
    assert [row["nearest_km"] for row in found.near] == pytest.approx([25.1, 49.9], abs=0.01)


@pytest.mark.parametrize(
    ("place", "record_at", "kilometres"),
    [
        ((-16.5, 179.95), (-16.5, -179.95), 10.66), ((-16.5, -180.0), (-16.5, 180.0), 0.0),
        ((90.0, 0.0), (89.9, 123.0), 11.12), ((-89.95, 10.0), (-89.95, -170.0), 11.12),
        ((-90.0, 50.0), (-90.0, -7.0), 0.0),
    ],
)  # fmt: skip
def test_the_date_line_and_the_poles_are_places_like_others(
    settings: Settings, place: tuple[float, float], record_at: tuple[float, float], kilometres: float
) -> None:
    make_world(settings, [record(at=record_at), record("Anas superciliosa", at=(10.0, 10.0))])
    (row,) = listed(settings, place, radius=12).here
    assert row["nearest_km"] == pytest.approx(kilometres, abs=0.01)


def test_a_radius_of_nothing_finds_what_is_at_the_very_place(settings: Settings) -> None:
    make_world(settings, [record(), record("Anas superciliosa", at=north_by(0.1))])
    found = listed(settings, radius=0)
    assert (counts(found.here), found.near_km) == ({"Turdus merula": 1}, 10)
    assert list(counts(found.near)) == ["Anas superciliosa"]


def test_the_whole_world_is_a_circle_too(settings: Settings) -> None:
    make_world(
        settings, [record(), record("Anas superciliosa", at=(36.8, -5.3)), record("Corvus corax", at=(0.1, 0.1))]
    )
    assert listed(settings, radius=math.pi * 6371.0088).records == 3


def test_obscured_and_uncertain_records_count_where_their_circle_touches_and_are_marked(settings: Settings) -> None:
    records = [
        record("Turdus hidden", at=north_by(40), **HIDDEN),
        record("Turdus hidden", at=north_by(1), **HIDDEN),
        record("Turdus far", at=north_by(52), **HIDDEN),
        record("Turdus vague", at=north_by(30), coordinate_uncertainty_m=9_000.0),
        record("Turdus sure", at=north_by(10), coordinate_uncertainty_m=9_000.0),
        record("Turdus lost", coordinate_uncertainty_m=1000 * MOST_UNCERTAIN_KM + 1),
    ]
    make_world(settings, records)
    found = listed(settings)
    marks = {row["species"]: (row["records"], row["perhaps_outside"], row["obscured"]) for row in found.here}
    assert marks == {"Turdus hidden": (2, 2, 2), "Turdus sure": (1, 0, 0), "Turdus vague": (1, 1, 0)}
    assert list(counts(found.near)) == ["Turdus far"]
    assert sorted(point["obscured"] for point in found.points) == [False, False, True, True, True]


@pytest.mark.parametrize(
    "unusable",
    [
        {"at": (0.0, 0.0)}, {"decimal_latitude": None}, {"decimal_longitude": math.nan},
        {"issue": "COUNTRY_COORDINATE_MISMATCH"},
    ],
    ids=str,
)  # fmt: skip
def test_places_that_do_not_count_for_the_prior_do_not_count_here(settings: Settings, unusable: dict[str, Any]) -> None:
    make_world(settings, [record("Anas superciliosa", at=(0.0, 0.1)), record(**{"at": (0.0, 0.01), **unusable})])
    assert listed(settings, (0.0, 0.05), radius=100).records == 1


def test_a_month_counts_with_its_neighbours_across_the_new_year(settings: Settings) -> None:
    days = {
        "Turdus december": "2023-12-31", "Turdus january": "2024-01-10/2024-01-12", "Turdus february": "2024-02-29",
        "Turdus march": "2024-03-01", "Turdus noday": "2024-01", "Turdus year": "2024", "Turdus none": None,
    }  # fmt: skip
    make_world(settings, [record(name, event_date=day) for name, day in days.items()])
    found = listed(settings, month=1)
    assert found.months == (12, 1, 2)
    assert set(counts(found.here)) == {"Turdus december", "Turdus january", "Turdus february", "Turdus noday"}
    assert list(counts(found.other_months)) == ["Turdus march", "Turdus none", "Turdus year"]
    assert (found.records, found.undated) == (4, 2)
    assert found.by_month == [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert heading(found).endswith("174.7° E, in December, January and February")
    assert listed(settings, month=12).months == (11, 12, 1)


def test_in_its_season_a_species_is_ordered_by_records_of_the_season(settings: Settings) -> None:
    records = [record("Anas summer", event_date="2024-01-05")] * 2 + [
        record("Anas winter", event_date="2024-07-05")
    ] * 5
    make_world(settings, [*records, record("Anas winter", event_date="2024-02-01")])
    found = listed(settings, month=1)
    assert [(row["species"], row["records_in_season"], row["records"]) for row in found.here] == [
        ("Anas summer", 2, 2), ("Anas winter", 1, 6),
    ]  # fmt: skip
    assert about_nothing(listed(settings, month=10)) == (
        "No record within 25 km is of September, October and November."
    )


def test_species_too_rare_to_be_learnt_are_listed_with_what_is_missing(settings: Settings) -> None:
    make_world(
        settings, [record(), record("Anas rara"), record("Anas nuda")], learnt=["Turdus merula"],
        photographs={"Anas rara": 3},
    )  # fmt: skip
    told = {row["species"]: (row["named"], row["photographs_missing"]) for row in listed(settings).here}
    assert told == {"Anas nuda": (False, 5), "Anas rara": (False, 2), "Turdus merula": (True, None)}


def test_a_taxon_narrows_the_list(settings: Settings) -> None:
    mulberry: Row = {
        "kingdom": "Plantae",
        "kingdom_key": "6",
        "genus_key": "MULBERRY",
        "class": None,
        "class_key": None,
    }
    records = [
        record(), record("Morus alba", **mulberry), record("Morus serrator"), record("Anas rara"),
        record("Lucilia sericata", **FLY),
    ]  # fmt: skip
    make_world(settings, records, learnt=["Turdus merula", "Morus alba", "Morus serrator"])
    assert list(counts(listed(settings, within=["turdus"]).here)) == ["Turdus merula"]
    assert list(counts(listed(settings, within=["Plantae > Morus", "TURDUS"]).here)) == ["Morus alba", "Turdus merula"]
    assert list(counts(listed(settings, within=["Insecta"]).here)) == ["Lucilia sericata"], "no species of it is learnt"
    assert list(counts(listed(settings, within=["ANAS"]).here)) == ["Anas rara"], "a key of a genus that is not learnt"
    assert list(counts(listed(settings, within=["Chordata (no class)"]).here)) == ["Morus alba"]
    with pytest.raises(ListError, match=r"'Morus' stands for several taxa.*MULBERRY"):
        listed(settings, within=["Morus"])
    with pytest.raises(ListError, match=r"no record is of the taxon 'Turduss'; did you mean Turdus"):
        listed(settings, within=["Turduss"])


def test_an_empty_place_names_the_nearest_record(settings: Settings) -> None:
    make_world(settings, [record(), record("Anas superciliosa", at=(-45.0, 170.0))])
    found = listed(settings, (-36.8, -170.0))
    assert found.nearest is not None
    assert (found.here, found.completeness, found.nearest.species) == ([], None, "Turdus merula")
    assert about_nothing(found) == ("No record within 25 km. The nearest, of Turdus merula, is 1,361 km to the west.")
    other = listed(settings, within=["Anas superciliosa"])
    assert about_nothing(other).startswith("No record of Anas superciliosa within 25 km. The nearest, of Anas")
    near = listed(settings, north_by(40))
    assert near.nearest is not None
    assert near.nearest.distance_km == pytest.approx(40, abs=0.01)
    make_world(settings, [record(at=(0.0, 0.0))])
    assert about_nothing(listed(settings)) == "No record within 25 km, nor anywhere else among the records."


def test_how_many_species_there_may_be_is_told_by_those_recorded_once_and_twice() -> None:
    told = completeness([9, 4, 2, 2, 1, 1, 1])
    # By hand: 7 + 19/20 * 3 * 2 / (2 * 3), and 3/20 * (19 * 3) / (19 * 3 + 2 * 2).
    assert told.once == 3
    assert told.estimated == pytest.approx(7.95)
    assert told.unseen == pytest.approx(0.15 * 57 / 61)
    without = completeness([3, 1, 1])
    assert without.estimated == pytest.approx(3 + 0.8)
    assert without.unseen == pytest.approx(0.4 * 4 / 6)
    assert completeness([5, 2]).unseen == 0
    assert completeness([1]).estimated is None


def test_what_is_said_of_completeness(settings: Settings) -> None:
    make_world(settings, [*[record()] * 5, record("Anas a"), record("Anas b"), *[record("Anas c")] * 2])
    assert about_completeness(listed(settings)) == (
        "4 species in 9 records. 2 of the species were recorded once, which points to 4 or more that can be recorded "
        "here (Chao1); about 20 % of further records would be of species not listed."
    )
    make_world(settings, [record(), record("Anas a")])
    assert about_completeness(listed(settings)).endswith("far too little to tell how many there are.")


def test_groups_are_classes_or_what_tells_a_narrower_list_apart(settings: Settings) -> None:
    make_world(
        settings,
        [record(), record("Anas a"), *[record("Lucilia sericata", **FLY)] * 3, record("Anas x", **CLASSLESS)],
    )
    groups = in_groups(listed(settings).here)
    assert [(group.rank, group.name, group.records) for group in groups] == [
        ("class", "Insecta", 3), ("class", "Aves", 2), ("class", "no class", 1),
    ]  # fmt: skip
    (one, other) = in_groups(listed(settings, within=["Anas a", "Turdus merula"]).here)
    assert (one.rank, one.name, other.name) == ("genus", "Anas", "Turdus")


def test_tables_of_earlier_code_and_missing_ones_are_said(settings: Settings) -> None:
    with pytest.raises(TableError, match="there is no dataset yet"):
        listed(settings)
    make_world(settings, [record()])
    table = settings.paths.table("clean_occurrences")
    pq.write_table(pq.read_table(table).drop_columns(["coordinate_uncertainty_m"]), table)
    with pytest.raises(TableError, match="does not have the columns that this version of NatureWatch reads"):
        listed(settings)
