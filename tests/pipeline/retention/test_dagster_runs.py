"""Dagster's old runs go with their events and logs, but for the last that made an asset."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline.paths import Paths
from pipeline.retention.dagster_runs import find_runs, find_shards, remove_run
from tests.pipeline.retention.lived_in import instance_in

LATER = dt.datetime.now(tz=dt.UTC) + dt.timedelta(days=100)


@dg.asset
def table() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(data_version=dg.DataVersion("same"))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with instance_in(tmp_path) as found:
        yield found


def going(instance: dg.DagsterInstance, *, since: dt.datetime = LATER, own: bool = True, named: str = "") -> list[str]:
    return [each.name for each in find_runs(instance, scope="test", own=own, since=since, named={named})]


def test_the_last_run_that_made_an_asset_stays(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    runs = [dg.materialize([table], instance=instance).run_id for _ in range(3)]
    assert set(going(instance)) == set(runs[:2])
    assert going(instance, since=dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1)) == []
    assert going(instance, named=runs[0]) == [runs[1]]
    # In an instance that others use, too, runs must say whose they are; those of others never go.
    assert going(instance, own=False) == []
    instance.add_run_tags(runs[0], {"naturewatch.scope": "test"})
    instance.add_run_tags(runs[1], {"naturewatch.scope": "another"})
    assert going(instance) == going(instance, own=False) == [runs[0]]
    paths = Paths(data_root=tmp_path)
    (found,) = find_runs(instance, scope="test", own=True, since=LATER, named=set())
    assert found.bytes > 10_000
    remove_run(instance, runs[0])
    assert instance.get_run_by_id(runs[0]) is None
    assert not [path for path in tmp_path.rglob("*") if runs[0] in path.name]
    assert find_shards(instance, paths) == []
    event = instance.get_latest_materialization_event(dg.AssetKey("table"))
    assert event is not None
    assert event.run_id == runs[2]
    # Killed before the file with the events is removed, it is found by its name.
    instance.event_log_storage.delete_events(runs[1])
    instance.delete_run(runs[1])
    assert {Path(each.name).name.partition(".")[0] for each in find_shards(instance, paths)} == {runs[1]}
