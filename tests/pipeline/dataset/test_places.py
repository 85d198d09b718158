"""Where and when: a place counts or a rule says why not; a day is the same in every year; no record is lost."""

import json
import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.archive.search_records import occurrence_row
from pipeline.column_descriptions import PLACE_PROBLEMS
from pipeline.config.settings import Settings
from pipeline.dataset.invariants import learnt_places
from pipeline.dataset.places import MOST_UNCERTAIN_M, build_places, places
from pipeline.errors import TableError
from pipeline.table_checks import check_table
from tests.pipeline.tiny import Row, occurrence, read, write

OBSCURED = "Coordinate uncertainty increased to 28505m to protect threatened taxon"
CELL = 111_195.0 * 0.1
"""Metres of a tenth of a degree of latitude."""


def places_of(settings: Settings, occurrences: list[Row], *, validating: frozenset[str] = frozenset()) -> list[Row]:
    """The places of these occurrences, a photograph each; those of the keys `validating` are on the validation side."""
    photos = [
        {
            "photo_id": f"p{row['occurrence_key']}",
            "occurrence_key": row["occurrence_key"],
            "observation_id": row["observation_id"],
            "class_id": 0,
            "split": "validation" if row["occurrence_key"] in validating else "train",
            "half": "evaluation" if row["occurrence_key"] in validating else None,
            "path": "p.jpg",
        }
        for row in occurrences
    ]
    write(settings.paths, "split", photos)
    write(settings.paths, "clean_occurrences", occurrences)
    table = build_places(settings.paths)
    assert check_table("places", table) == []
    found = read(table)
    assert [row["occurrence_key"] for row in found] == sorted(row["occurrence_key"] for row in occurrences)
    return found


def place_of(settings: Settings, **given: Any) -> Row:  # noqa: ANN401
    (row,) = places_of(settings, [occurrence("1", **given)])
    return row


def days_of(settings: Settings, dates: list[str | None]) -> list[int | None]:
    rows = [occurrence(f"{number:06}", event_date=text) for number, text in enumerate(dates)]
    return [row["day"] for row in places_of(settings, rows)]


def day_of(when: date) -> int:
    """The day of a year with 29 February."""
    return (date(2024, when.month, when.day) - date(2023, 12, 31)).days


def test_a_place_that_cannot_be_relied_on_is_none_and_says_why(settings: Settings) -> None:
    cases: list[tuple[Row, str]] = [
        ({"decimal_latitude": None, "decimal_longitude": None}, "missing"),
        ({"decimal_longitude": None}, "incomplete"),
        ({"decimal_latitude": None}, "incomplete"),
        ({"decimal_latitude": math.nan}, "unreadable"),
        ({"decimal_longitude": math.inf}, "unreadable"),
        ({"decimal_latitude": None, "decimal_longitude": None, "issue": "COORDINATE_INVALID"}, "unreadable"),
        ({"decimal_latitude": 90.01}, "out_of_range"),
        ({"decimal_longitude": -180.01}, "out_of_range"),
        ({"decimal_latitude": None, "decimal_longitude": None, "issue": "COORDINATE_OUT_OF_RANGE"}, "out_of_range"),
        ({"decimal_latitude": 0.0, "decimal_longitude": -0.0}, "zero"),
        ({"issue": "GEODETIC_DATUM_ASSUMED_WGS84;ZERO_COORDINATE"}, "zero"),
        ({"issue": "COUNTRY_COORDINATE_MISMATCH;COORDINATE_ROUNDED"}, "other_country"),
        ({"issue": "PRESUMED_SWAPPED_COORDINATE;COUNTRY_DERIVED_FROM_COORDINATES"}, "swapped"),
        ({"issue": "PRESUMED_SWAPPED_COORDINATE", "country": None}, "swapped"),
        ({"issue": "COORDINATE_REPROJECTION_SUSPICIOUS"}, "shifted_datum"),
        ({"coordinate_uncertainty_m": MOST_UNCERTAIN_M + 1}, "too_uncertain"),
    ]
    rows = places_of(settings, [occurrence(f"{number:02}", **given) for number, (given, _) in enumerate(cases)])
    assert [row["problem"] for row in rows] == [problem for _, problem in cases]
    assert {(row["latitude"], row["longitude"]) for row in rows} == {(None, None)}
    assert {row["day"] for row in rows} == {day_of(date(2024, 5, 1))}, "the day is known all the same"
    assert {problem for _, problem in cases} == set(PLACE_PROBLEMS)


def test_what_gbif_has_put_right_and_what_is_only_unusual_counts(settings: Settings) -> None:
    cases: list[Row] = [
        # GBIF rounds, assumes WGS 84 and reprojects without moving a place by more than a few hundred metres.
        {"issue": "COORDINATE_ROUNDED;GEODETIC_DATUM_ASSUMED_WGS84;COORDINATE_REPROJECTED"},
        # It negates or swaps where that leads into the country that the record states.
        {"issue": "PRESUMED_NEGATED_LATITUDE"},
        {"issue": "PRESUMED_NEGATED_LONGITUDE"},
        {"issue": "PRESUMED_SWAPPED_COORDINATE"},
        {"issue": "COORDINATE_UNCERTAINTY_METERS_INVALID;CONTINENT_DERIVED_FROM_COORDINATES"},
        {"coordinate_uncertainty_m": MOST_UNCERTAIN_M},
        {"decimal_latitude": -90.0, "decimal_longitude": 180.0},
        {"decimal_latitude": 0.0},
        {"decimal_longitude": 0.0},
    ]
    stated = [occurrence(f"{number:02}", **given) for number, given in enumerate(cases)]
    rows = places_of(settings, stated)
    assert [(row["latitude"], row["longitude"], row["problem"]) for row in rows] == [
        (each["decimal_latitude"], each["decimal_longitude"], None) for each in stated
    ]


def test_an_uncertainty_that_is_no_distance_is_not_stated(settings: Settings) -> None:
    stated = [None, 0.0, -5.0, math.nan, math.inf]
    rows = places_of(settings, [occurrence(str(each), coordinate_uncertainty_m=each) for each in stated])
    assert {(row["uncertainty_m"], row["problem"]) for row in rows} == {(None, None)}


@pytest.mark.parametrize("latitude", [0.0, -36.8, 60.0, 90.0])
def test_an_obscured_place_is_no_surer_than_half_the_diagonal_of_its_cell(settings: Settings, latitude: float) -> None:
    half = math.hypot(CELL, CELL * math.cos(math.radians(latitude)))
    for stated in (None, 10.0):
        row = place_of(
            settings, decimal_latitude=latitude, information_withheld=OBSCURED, coordinate_uncertainty_m=stated
        )
        assert row["obscured"]
        assert row["problem"] is None
        assert row["uncertainty_m"] == pytest.approx(half, rel=1e-4)


def test_a_place_is_obscured_where_the_source_says_so_or_states_the_diagonal_of_a_cell(settings: Settings) -> None:
    monterey = {"decimal_latitude": 36.633855}
    cases: list[tuple[Row, bool, float | None]] = [
        # As iNaturalist writes it, and the same place after somebody has dropped the words.
        ({"information_withheld": OBSCURED, "coordinate_uncertainty_m": 28505}, True, 28505),
        ({"coordinate_uncertainty_m": 28505}, True, 28505),
        ({"coordinate_uncertainty_m": 28000}, False, 28000),
        ({"coordinate_uncertainty_m": 30}, False, 30),
        ({"information_withheld": "Location obscured; ask the museum"}, True, None),
        ({"information_withheld": "tissue samples are kept apart", "coordinate_uncertainty_m": 8}, False, 8),
    ]
    rows = places_of(
        settings, [occurrence(str(number), **monterey, **given) for number, (given, *_) in enumerate(cases)]
    )
    assert [row["obscured"] for row in rows] == [obscured for _, obscured, _ in cases]
    assert all(row["uncertainty_m"] == wanted for row, (_, _, wanted) in zip(rows, cases, strict=True) if wanted)


def test_what_inaturalist_obscures_is_known_by_its_words_and_by_its_uncertainty(
    settings: Settings, shared: Path
) -> None:
    """Recorded answers of GBIF's search, in the way that a search is read."""
    lines = (shared / "gbif" / "inat_records.jsonl").read_text(encoding="utf-8").splitlines()
    records = {line["key"]: line for line in map(json.loads, lines) if line.get("informationWithheld")}
    assert len(records) > 100
    stated, silent = [], []
    for key, record in records.items():
        row = occurrence_row(record, checklist_key="none")
        numbers = {
            column: None if row[term] is None else float(row[term] or 0)
            for column, term in {
                "decimal_latitude": "decimalLatitude",
                "decimal_longitude": "decimalLongitude",
                "coordinate_uncertainty_m": "coordinateUncertaintyInMeters",
            }.items()
        }
        given = {**numbers, "event_date": row["eventDate"], "issue": row["issue"]}
        stated.append(occurrence(f"{key}", information_withheld=row["informationWithheld"], **given))
        silent.append(occurrence(f"{key}", **given))
    for rows in (stated, silent):
        found = [row for row in places_of(settings, rows) if row["problem"] is None]
        assert len(found) > 100
        assert all(row["obscured"] and row["uncertainty_m"] > 22_000 and row["day"] for row in found)


def test_a_hidden_place_is_missing_and_obscured(settings: Settings) -> None:
    row = place_of(
        settings,
        decimal_latitude=None,
        decimal_longitude=None,
        information_withheld="Coordinates hidden at the request of the observer",
    )
    assert (row["problem"], row["obscured"], row["uncertainty_m"]) == ("missing", True, None)


def test_every_date_of_a_leap_and_a_common_year_has_the_day_of_the_leap_year(settings: Settings) -> None:
    dates = [date(2023, 1, 1) + timedelta(days) for days in range(731)]
    found = days_of(settings, [each.isoformat() for each in dates])
    assert found == [day_of(each) for each in dates]
    assert [each for each in range(1, 367) if each not in found[:365]] == [60], "a common year has no 29 February"
    assert found[365:] == list(range(1, 367))


def test_a_range_of_at_most_31_days_is_its_middle_also_over_a_new_year(settings: Settings) -> None:
    starts = [date(2020, 11, 20) + timedelta(days) for days in range(0, 450, 7)]
    spans = [(start, start + timedelta(length)) for start in starts for length in (0, 1, 2, 29, 30, 31, 366)]
    found = days_of(settings, [f"{first}/{last}" for first, last in spans])
    wanted = [
        day_of(first + timedelta((last - first).days // 2)) if (last - first).days <= 30 else None
        for first, last in spans
    ]
    assert found == wanted


def test_dates_are_read_as_gbif_writes_them(settings: Settings) -> None:
    wanted: dict[str | None, date | None] = {
        "2021-05-01T23:30:00+12:00": date(2021, 5, 1),
        "2021-05-01T10:00Z": date(2021, 5, 1),
        "2021-05-01 10:00:00": date(2021, 5, 1),
        "2021-05-01T10:00/12:30": date(2021, 5, 1),
        "2021-05-01T22:00:00/2021-05-03T02:00:00": date(2021, 5, 2),
        "2021-05-01/03": date(2021, 5, 2),
        "2021-05-30/06-01": date(2021, 5, 31),
        "2020-12-31/2021-01-02": date(2021, 1, 1),
        "2021-05": date(2021, 5, 16),
        "2021-02": date(2021, 2, 14),
        "2024-02": date(2024, 2, 15),
        "2021-05/2021-05": date(2021, 5, 16),
        " 2024-02-29 ": date(2024, 2, 29),
        "2021": None,
        "2021-05/06": None,
        "2021/2022": None,
        "2021-02-29": None,
        "2021-02-30": None,
        "2021-13-01": None,
        "0000-05-01": None,
        "0000-00-00": None,
        "1599-12-31": None,
        "2021-05-03/2021-05-01": None,
        "2021-05-01/": None,
        "2021-05-01/yesterday": None,
        "2021-05-01/2021-05-02/2021-05-03": None,
        "/2021-05-01": None,
        "01/05/2021": None,
        "yesterday": None,
        "": None,
        None: None,
    }
    found = dict(zip(wanted, days_of(settings, list(wanted)), strict=True))
    assert found == {text: None if day is None else day_of(day) for text, day in wanted.items()}


def test_a_date_that_gbif_calls_unlikely_tells_no_season(settings: Settings) -> None:
    assert place_of(settings, issue="RECORDED_DATE_UNLIKELY")["day"] is None


def test_an_observation_with_a_validation_photograph_is_never_learnt(settings: Settings) -> None:
    rows = [occurrence("1", observation_id="a"), occurrence("2", observation_id="a"), occurrence("3")]
    found = places_of(settings, rows, validating=frozenset({"2"}))
    assert [row["side"] for row in found] == ["validation", "validation", "train"]
    assert learnt_places(settings.paths) == []
    write(settings.paths, "places", [{**row, "side": "train"} for row in found])
    assert learnt_places(settings.paths) == ["occurrence 1 of observation a", "occurrence 2 of observation a"]


def test_what_is_found_is_counted(settings: Settings) -> None:
    rows = [
        occurrence("1", observer="x"),
        occurrence("2", observer="x", information_withheld=OBSCURED, event_date="2021"),
        occurrence("3", decimal_latitude=None),
        occurrence("4", decimal_latitude=0.0, decimal_longitude=0.0, observer="y"),
        occurrence("5", decimal_latitude=0.0, decimal_longitude=0.0),
    ]
    places_of(settings, rows, validating=frozenset({"1"}))
    found = places(settings.paths)
    assert (found.occurrences, found.placed, found.obscured, found.dated, found.learnt, found.observers) == (
        5, 2, 1, 1, 1, 2,
    )  # fmt: skip
    assert found.problems == {"zero": 2, "incomplete": 1}


def test_every_problem_is_explained_and_its_limit_is_the_one_applied() -> None:
    assert f"{MOST_UNCERTAIN_M / 1000:g} km" in PLACE_PROBLEMS["too_uncertain"]
    assert all(text[0].isupper() and text.endswith(".") for text in PLACE_PROBLEMS.values())


def test_tables_of_older_code_are_named(settings: Settings) -> None:
    places_of(settings, [occurrence("1")])
    table = settings.paths.table("clean_occurrences")
    pq.write_table(pq.read_table(table).drop_columns(["observer"]), table)
    with pytest.raises(TableError, match="materialise the assets before it again"):
        build_places(settings.paths)
