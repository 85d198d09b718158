"""Places and days of the replica's organisms arrive in `places.parquet`, from GBIF's archive to the last rule."""

from collections import Counter

import pytest

from demo.organisms.source import RenderedSource
from demo.records import Occurrence
from ml.places.reading import day_of
from pipeline.config.settings import Settings
from pipeline.dataset.clean import build_clean_occurrences
from pipeline.dataset.places import build_places
from pipeline.gbif.occurrences import build_occurrences
from pipeline.gbif.source import fetch_source
from pipeline.launching.replica import source_api
from tests.pipeline import tiny

PROBLEMS = {
    "ZERO_COORDINATE": "zero",
    "COUNTRY_COORDINATE_MISMATCH": "other_country",
    "COORDINATE_OUT_OF_RANGE": "out_of_range",
}
"""Issue of GBIF to the rule by which a place does not count."""


def _problem(one: Occurrence) -> str | None:
    found = [rule for issue, rule in PROBLEMS.items() if issue in one.issues]
    return found[0] if found else "missing" if one.latitude is None else None


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tiny.Row]:
    """`places.parquet` by occurrence, of a split that holds every clean occurrence."""
    settings = Settings(name="test", data_root=tmp_path_factory.mktemp("replica"))
    with source_api(settings) as api:
        fetch_source(settings, api=api, log=lambda _: None)
    build_occurrences(settings.paths, settings)
    split = [
        {
            "photo_id": row["occurrence_key"],
            "occurrence_key": row["occurrence_key"],
            "observation_id": row["observation_id"],
            "class_id": 0,
            "split": "train",
            "half": None,
            "path": "",
        }
        for row in tiny.read(build_clean_occurrences(settings.paths, settings))
    ]
    tiny.write(settings.paths, "split", split)
    return {row["occurrence_key"]: row for row in tiny.read(build_places(settings.paths))}


def test_every_place_and_day_is_what_the_replica_published(places: dict[str, tiny.Row]) -> None:
    published = {one.gbif_id: one for one in RenderedSource(release=1).occurrences() if one.gbif_id in places}
    assert len(published) == len(places) > 700
    for key, row in places.items():
        one = published[key]
        assert row["problem"] == _problem(one)
        there = (None, None) if row["problem"] else (one.latitude, one.longitude)
        assert (row["latitude"], row["longitude"]) == there
        assert row["obscured"] == bool(one.information_withheld)
        assert row["uncertainty_m"] == one.uncertainty_m
        assert row["day"] == day_of(one.event_date), one.event_date
    observers = {one.recorded_by for one in published.values()}
    assert len({row["observer"] for row in places.values()}) == len(observers) > 24


def test_every_rule_about_places_is_used(places: dict[str, tiny.Row]) -> None:
    problems = Counter(row["problem"] for row in places.values())
    assert set(problems) == {None, "missing", *PROBLEMS.values()}
    assert problems[None] > 0.95 * len(places)
    assert 0 < sum(row["day"] is None for row in places.values()) < 0.05 * len(places)
    assert 0.02 < sum(row["obscured"] for row in places.values()) / len(places) < 0.12
