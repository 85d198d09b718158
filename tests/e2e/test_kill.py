"""Killed at any moment, the road goes on where it was and ends in the same tables."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.dataset.manifest import content_hash
from tests.e2e.conftest import TABLES, Road, road_environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_killed_while_fetching_and_while_training_it_ends_in_the_same_tables(tmp_path: Path) -> None:
    environment = road_environment(tmp_path, NATUREWATCH__PHOTOS__REQUESTS_PER_SECOND="150")
    log, data = tmp_path / "run.log", tmp_path / "data"
    journal = data / "fetch" / "journal.jsonl"

    def fetched() -> int:
        return journal.read_text().count("\n") if journal.exists() else 0

    Road(environment, log=log).kill_when(lambda: fetched() > 100)
    Road(environment, log=log).kill_when(lambda: any(data.glob("models/baseline/*/checkpoints/CURRENT")))
    road = Road(environment, log=log)
    assert road.wait() == 0, road.tail()

    assert "going on at step" in log.read_text()

    asked = pq.read_table(data / "fetch" / "attempts")["photo_id"].to_pylist()
    # A kill may lose the last moment of the journal; nothing that was recorded is asked for again.
    assert len(asked) == len(set(asked)) > 100

    again = tmp_path / "undisturbed"
    other = Road(road_environment(again), "--select", "group:ingest or group:dataset", log=tmp_path / "other.log")
    assert other.wait() == 0, other.tail()
    for name in TABLES:
        one, two = (folder / "tables" / f"{name}.parquet" for folder in (data, again / "data"))
        assert content_hash(one) == content_hash(two), name
