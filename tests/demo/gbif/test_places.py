"""The archive and the search say the same of place and date, as GBIF does, whatever is wrong with a record."""

import csv
import io
import zipfile
from dataclasses import replace
from typing import Any

import pytest

from demo.gbif.archive import write_archive
from demo.gbif.dates import date_parts, first_day
from demo.gbif.facets import has_geospatial_issue
from demo.gbif.search import Index, occurrence_json, page
from demo.organisms.source import RenderedSource
from demo.records import Occurrence
from tests.demo.replica_fixtures import SmallSource

FIELDS = (
    *("decimalLatitude", "decimalLongitude", "coordinateUncertaintyInMeters", "informationWithheld", "recordedBy"),
    *("eventDate", "year", "month", "day", "dateIdentified", "countryCode"),
)


@pytest.fixture(scope="module")
def released() -> tuple[Occurrence, ...]:
    """The rendered source's first release."""
    return tuple(RenderedSource(release=1).occurrences())


def test_the_archive_and_the_search_say_the_same(released: tuple[Occurrence, ...]) -> None:
    archive = write_archive(released, key="0000001-1", doi="10.21373/dl.abc", base="http://a.test")
    text = zipfile.ZipFile(io.BytesIO(archive)).read("occurrence.txt").decode()
    rows = {row["gbifID"]: row for row in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)}
    assert len(rows) == len(released)
    for one in released:
        found, row = occurrence_json(one, base="http://a.test"), rows[one.gbif_id]
        assert {name: row[name] for name in FIELDS} == {name: str(found.get(name, "")) for name in FIELDS}
        assert row["issue"] == ";".join(found["issues"])
        assert row["hasCoordinate"] == str("decimalLatitude" in found).lower()
        assert row["hasGeospatialIssues"] == str(has_geospatial_issue(one)).lower()


def test_what_is_not_known_is_left_out() -> None:
    one = replace(SmallSource(count=1).occurrences()[0], latitude=None, longitude=None, event_date="2021")
    found: dict[str, Any] = occurrence_json(one, base="http://a.test")
    assert found["year"] == 2021
    gone = {"decimalLatitude", "decimalLongitude", "geodeticDatum", "month", "day", "coordinateUncertaintyInMeters"}
    assert not gone & found.keys()
    assert "created" not in found["media"][0], "nobody knows the day"


def test_zero_is_a_place_that_gbif_doubts() -> None:
    class Zero(SmallSource):
        def occurrences(self) -> tuple[Occurrence, ...]:
            first, second, *_ = super().occurrences()
            zero = replace(first, latitude=0.0, longitude=0.0, issues=("ZERO_COORDINATE",))
            return zero, replace(second, latitude=None, longitude=None)

    index = Index(Zero())
    for query, keys in (
        ({"hasCoordinate": ["true"]}, [1000]),
        ({"hasCoordinate": ["false"]}, [1001]),
        ({"hasGeospatialIssue": ["true"]}, [1000]),
        ({"issue": ["ZERO_COORDINATE"]}, [1000]),
    ):
        assert [one["key"] for one in page(index, query, base="http://a.test")["results"]] == keys
    assert page(index, {"hasCoordinate": ["true"]}, base="")["results"][0]["decimalLatitude"] == 0.0


@pytest.mark.parametrize(
    ("event_date", "parts", "day"),
    [
        ("2024-01-06T13:36:30", ("2024", "1", "6"), "2024-01-06"),
        ("2024-01-06", ("2024", "1", "6"), "2024-01-06"),
        ("2023-10-06/2023-10-08", ("2023", "10", ""), "2023-10-06"),
        ("2025-01-01T08:30Z/2025-01-01T10:52Z", ("2025", "1", "1"), "2025-01-01"),
        ("2023-10-30/2023-11-02", ("2023", "", ""), "2023-10-30"),
        ("2023-12-30/2024-01-02", ("", "", ""), "2023-12-30"),
        ("2025-01", ("2025", "1", ""), ""),
        ("2025", ("2025", "", ""), ""),
        ("", ("", "", ""), ""),
    ],
)
def test_a_date_has_the_parts_that_its_span_shares(event_date: str, parts: tuple[str, str, str], day: str) -> None:
    assert date_parts(event_date) == parts
    assert first_day(event_date) == day
