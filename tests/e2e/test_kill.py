"""Killed at any moment, the road goes on where it was and ends in the same tables."""

from pathlib import Path

import pytest

from pipeline.dataset.manifest import content_hash
from pipeline.photos.journal import AGAIN
from tests.e2e.conftest import TABLES, Road, road_environment
from tests.pipeline import tiny

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_killed_while_fetching_and_while_training_it_ends_in_the_same_tables(tmp_path: Path) -> None:
    environment = road_environment(tmp_path, NATUREWATCH__PHOTOS__REQUESTS_PER_SECOND="150")
    log, data = tmp_path / "run.log", tmp_path / "data"
    journal = data / "fetch" / "journal.jsonl"

    def fetched() -> int:
        """Attempts of the open journal: those of the running or killed fetch."""
        return journal.read_text().count("\n") if journal.exists() else 0

    def sealed() -> list[tiny.Row]:
        return [row for path in sorted((data / "fetch" / "attempts").glob("*.parquet")) for row in tiny.read(path)]

    Road(environment, log=log).kill_when(lambda: fetched() > 100)
    stored = fetched()
    Road(environment, log=log).kill_when(lambda: any(data.glob("models/baseline/*/checkpoints/CURRENT")))
    assert len(sealed()) >= stored, "what the killed fetch had recorded is kept"
    road = Road(environment, log=log)
    assert road.wait() == 0, road.tail()

    assert "going on at step" in log.read_text()

    asked = [row["photo_id"] for row in sealed() if row["status"] != AGAIN]
    # A kill may lose the last moment of the journal; nothing that was recorded is asked for again.
    assert len(asked) == len(set(asked))

    again = tmp_path / "undisturbed"
    other = Road(road_environment(again), "--select", "group:ingest or group:dataset", log=tmp_path / "other.log")
    assert other.wait() == 0, other.tail()
    for name in TABLES:
        one, two = (folder / "tables" / f"{name}.parquet" for folder in (data, again / "data"))
        assert content_hash(one) == content_hash(two), name
