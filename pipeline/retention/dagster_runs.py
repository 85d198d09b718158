"""Dagster's runs with their events and logs: which go, and how. The last run that made an asset always stays."""

import datetime as dt
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

from pipeline.errors import LockedError
from pipeline.launching import pools
from pipeline.paths import Paths
from pipeline.retention.leftovers import KILLED
from pipeline.retention.removals import Kind, Removal
from pipeline.retention.sizes import size_of

SCOPE_TAG: Final = "naturewatch.scope"
ALIVE: Final = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
"""What a run that has not ended may be."""
_SHARD: Final = re.compile(r"(?P<run>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\.db(-wal|-shm|-journal)?")


def refuse_while_alive(instance: dg.DagsterInstance, *, but: str | None = None) -> None:
    """End runs that were killed, and refuse where one is left.

    Args:
        instance: Dagster's instance.
        but: The run that asks.

    Raises:
        LockedError: a run is queued or under way.
    """
    pools.end_killed_runs(instance)
    runs = instance.get_runs(dg.RunsFilter(statuses=list(ALIVE)))
    alive = [run for run in runs if run.run_id != but]
    if alive:
        names = ", ".join(f"{run.run_id[:8]} ({run.job_name}, {run.status.value.lower()})" for run in alive[:3])
        raise LockedError(
            f"Dagster has {len(alive)} run(s) that have not ended: {names}; prune when they have, or end them in the UI"
        )


def find_runs(
    instance: dg.DagsterInstance,
    *,
    scope: str,
    own: bool,
    since: dt.datetime,
    named: Collection[str],
) -> list[Removal]:
    """The runs that go.

    Args:
        instance: Dagster's instance.
        scope: The scope's name; runs of others stay.
        own: Whether the instance is the scope's alone; else only runs that say that they are of this scope can go.
        since: Runs that were made later stay.
        named: Runs that made what stays in MLflow.
    """
    needed = {*named, *_latest(instance)}
    records = instance.get_run_records(dg.RunsFilter(created_before=since))
    return [
        Removal(
            kind=Kind.DAGSTER_RUN,
            name=record.dagster_run.run_id,
            bytes=sum(map(size_of, _files(instance, record.dagster_run.run_id))),
            reason="old, and later runs have made the same assets",
        )
        for record in records
        if record.dagster_run.run_id not in needed
        and record.dagster_run.is_finished
        and record.dagster_run.tags.get(SCOPE_TAG, scope if own else None) == scope
    ]


def find_shards(instance: dg.DagsterInstance, paths: Paths) -> list[Removal]:
    """Files with the events of runs that Dagster does not know any more: what a killed removal left."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return []
    found = []
    for path in sorted(Path(storage.path_for_shard("x")).parent.glob("*")):
        shard = _SHARD.fullmatch(path.name)
        if shard and instance.get_run_by_id(shard["run"]) is None:
            name = str(path.relative_to(paths.data_root) if path.is_relative_to(paths.data_root) else path)
            found.append(Removal(kind=Kind.LEFTOVER, name=name, bytes=size_of(path), reason=KILLED))
    return found


def remove_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove a run's events and logs, then the run itself: killed meanwhile, the run is found again."""
    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_finished:
        return
    instance.event_log_storage.delete_events(run_id)
    files = _files(instance, run_id)
    instance.delete_run(run_id)
    for path in files:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _latest(instance: dg.DagsterInstance) -> set[str]:
    """The runs with the last materialisation of each asset: data versions are read from their events."""
    events = instance.get_latest_materialization_events(instance.get_asset_keys())
    return {entry.run_id for entry in events.values() if entry is not None}


def _files(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """What an instance on this machine keeps of a run: its events, the output of its steps."""
    folder = Path(instance.storage_directory()) / run_id
    found = [folder] if folder.is_dir() else []
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        shard = Path(storage.path_for_shard(run_id))
        found += sorted(shard.parent.glob(f"{shard.name}*"))
    return found
