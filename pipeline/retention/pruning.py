"""Pruning: the plan of all that goes, and the plan carried out. Only one process works in a data root meanwhile."""

import contextlib
import datetime as dt
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dagster as dg

from ml.spec import RESULT_FILE
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import RetentionError
from pipeline.files import exclusive, work_folder
from pipeline.launching.run_lock import only_run
from pipeline.paths import Paths
from pipeline.retention import dagster_runs, folders, leftovers, mlflow_store, stored_files
from pipeline.retention.kept_versions import Version, kept_versions
from pipeline.retention.orphans import find_bodies, remove_bodies, unreadable
from pipeline.retention.removals import Bodies, Kept, Kind, Plan, Removal, in_order
from pipeline.retention.sizes import size_of
from pipeline.tracking import tags as version_tags
from pipeline.tracking.runs import client
from pipeline.tracking.server import without_password

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

Log = Callable[[str], object]

UNRELATED: Final = frozenset({Kind.FEATURES, Kind.PACK, Kind.INDEX, Kind.LOG, Kind.PREVIEW, Kind.LEFTOVER})
"""Kinds that no model version needs."""
GOING: Final = ".{name}.pruned.partial"
"""What a folder is called while it is removed: no reader takes a part of it for the whole."""


@dataclass(frozen=True, kw_only=True)
class _Registry:
    """What MLflow says, and what follows from it."""

    versions: tuple[Version, ...]
    runs: dict[str, mlflow_store.TrackedRun]
    kept: dict[str, str]
    """Versions of the scope's registered model that stay: number -> why."""
    others: tuple[Version, ...]
    """Versions of other registered models."""

    @property
    def staying(self) -> list[Version]:
        """All versions that stay."""
        return [*(version for version in self.versions if version.number in self.kept), *self.others]


@contextlib.contextmanager
def planned(
    settings: Settings, instance: dg.DagsterInstance, *, now: dt.datetime | None = None, run_id: str | None = None
) -> Iterator[Plan]:
    """The plan, valid while the block runs: nothing else works in the data root then.

    Args:
        settings: The configuration; its section `retention` is the policy.
        instance: Dagster's instance.
        now: The present moment; default that of the clock.
        run_id: The Dagster run that prunes, where one does.

    Raises:
        LockedError: a run of the scope is under way.
        TrackingError: MLflow's store cannot be used.
        RegistryError: its server does not answer.
        RetentionError: the registry has no version, although one was registered.
        TableError: the manifest of the present dataset, or the record of a snapshot, is damaged.
    """
    paths, moment = settings.paths, now or dt.datetime.now(tz=dt.UTC)
    with contextlib.ExitStack() as stack:
        who = "naturewatch prune" if run_id is None else f"the pruning of Dagster's run {run_id[:8]}"
        stack.enter_context(only_run(paths.data_root, who=who, wait_seconds=0))
        for lock in _locks(paths):
            stack.enter_context(exclusive(lock, wait_seconds=0))
        dagster_runs.refuse_while_alive(instance, but=run_id)
        work = stack.enter_context(work_folder(paths.work("prune")))
        yield _plan(settings, instance, now=moment, work=work)


def carry_out(settings: Settings, instance: dg.DagsterInstance, plan: Plan, *, log: Log) -> None:
    """Remove what the plan says, and nothing else, inside the block of `planned`.

    What refers to something goes before it, so that a kill leaves only what the next pruning finds. The registry is
    asked again before each removal.

    Args:
        settings: The configuration.
        instance: Dagster's instance.
        plan: Of these settings.
        log: Takes a line for each kind.

    Raises:
        RetentionError: a version that goes was given an alias or a tag meanwhile; nothing more is removed.
    """
    connected = client(settings)

    def check() -> None:
        _refuse_new_needs(settings, connected, plan)

    done = dict.fromkeys(Kind, 0)
    for kind in Kind:
        if kind is Kind.BODIES and plan.bodies is not None:
            remove_bodies(settings.paths, plan.bodies, before_each=check)
            done[kind] = plan.bodies.number
        for removal in plan.removals:
            if removal.kind is not kind:
                continue
            if kind not in UNRELATED:
                check()
            remove(settings, instance, connected, removal)
            done[kind] += 1
        if done[kind]:
            log(f"removed {done[kind]:,} {kind.value}")


def remove(settings: Settings, instance: dg.DagsterInstance, connected: "MlflowClient", removal: Removal) -> None:
    """Remove one thing; nothing happens where it is gone already."""
    if removal.kind is Kind.VERSION:
        mlflow_store.remove_version(settings, connected, removal.name)
    elif removal.kind is Kind.MLFLOW_RUN:
        mlflow_store.remove_run(settings, connected, removal.name)
    elif removal.kind is Kind.DAGSTER_RUN:
        dagster_runs.remove_run(instance, removal.name)
    elif removal.kind is not Kind.LEFTOVER or not leftovers.is_locked(settings.paths.data_root / removal.name):
        for name in (*removal.beside, removal.name):
            remove_path(settings.paths.data_root / name)


def remove_path(path: Path) -> None:
    """Remove a file or a folder at once: under its own name it is there as a whole or not at all."""
    if path.is_dir() and not path.is_symlink():
        with contextlib.ExitStack() as stack:
            if (path / ".lock").exists():
                stack.enter_context(exclusive(path / ".lock", wait_seconds=0))
            going = path if path.name.endswith(".partial") else path.with_name(GOING.format(name=path.name))
            if going != path:
                path.rename(going)
            shutil.rmtree(going)
    else:
        path.unlink(missing_ok=True)


def _locks(paths: Paths) -> list[Path]:
    """What those hold who promote, or write where things are removed."""
    inner = (paths.downloads, paths.fetch_journal.parent, paths.snapshots, paths.training_photos)
    return [paths.promotion_lock, *(folder / ".lock" for folder in inner if folder.is_dir())]


def _plan(settings: Settings, instance: dg.DagsterInstance, *, now: dt.datetime, work: Path) -> Plan:
    """All that goes, by the policy of `settings.retention`."""
    paths, policy = settings.paths, settings.retention
    connected = client(settings)
    registry = _ask_registry(settings, connected, now=now)
    present = DatasetManifest.read(paths).dataset_version if paths.dataset_manifest.exists() else None
    datasets = sorted({version.dataset for version in registry.staying if version.dataset})
    removals, kept = _of_mlflow(settings, connected, registry, datasets={*datasets, present or ""}, now=now)
    removals += _of_trainings(settings, registry, present=present, now=now)
    removals += _of_exam(paths, staying=registry.kept)
    named = {version.tags.get("gbif.download_key", "") for version in registry.staying} | {
        settings.source.download_key or ""
    }
    trees = {version.tags.get(version_tags.TAXONOMY_HASH, "") for version in registry.staying}
    downloads, staying = stored_files.find_downloads(paths, most=policy.downloads, named=named - {""})
    notes = []
    bodies: Bodies | None = None
    unknown = unreadable(paths, datasets=datasets)
    if unknown is None:
        bodies, half = find_bodies(paths, datasets=datasets, work=work)
        removals += half
    elif paths.photos.exists():
        notes.append(f"Photographs are left alone: {unknown}.")
    removals += [
        *downloads,
        *stored_files.find_indices(paths),
        *stored_files.find_trees(paths, named=trees),
        *stored_files.find_packs(paths),
        *stored_files.find_old_files(paths, now=now, feature_days=policy.feature_days, log_days=policy.log_days),
        *_of_dagster(settings, instance, registry, now=now),
        *leftovers.find_leftovers(paths, now=now.timestamp()),
    ]
    return Plan(
        removals=in_order(removals),
        bodies=bodies,
        kept=(*kept, *staying),
        notes=tuple(notes),
        versions=frozenset(registry.kept),
    )


def _ask_registry(settings: Settings, connected: "MlflowClient", *, now: dt.datetime) -> _Registry:
    every = mlflow_store.read_versions(connected)
    own = [version for version in every if version.model == settings.registry.model_name]
    runs = {run.run_id: run for run in mlflow_store.read_runs(settings, connected)}
    if not own and any(settings.paths.release.glob(f"*/{RESULT_FILE}")):
        raise RetentionError(
            f"{without_password(settings.tracking_uri)} has no version of {settings.registry.model_name!r}, but "
            f"{settings.paths.release} says that one was registered: check registry.tracking_uri and "
            "registry.model_name; nothing is removed while it is unknown what versions need"
        )
    kept = kept_versions(own, policy=settings.retention, now=now)
    for version in own:
        if version.run_id not in runs:
            kept.setdefault(version.number, f"its run is not one of the scope {settings.name}")
    return _Registry(
        versions=tuple(own),
        runs=runs,
        kept=kept,
        others=tuple(version for version in every if version.model != settings.registry.model_name),
    )


def _of_mlflow(
    settings: Settings, connected: "MlflowClient", registry: _Registry, *, datasets: set[str], now: dt.datetime
) -> tuple[list[Removal], list[Kept]]:
    """Versions and runs that go, and the versions that stay."""
    models = mlflow_store.logged_models(settings, connected)
    places = {model.model_id: mlflow_store.local_folder(model.artifact_location) for model in models}
    logged = {model: place for model, place in places.items() if place is not None}
    going = [version for version in registry.versions if version.number not in registry.kept]
    in_use = {version.model_id for version in (*registry.versions, *registry.others)}
    needed = mlflow_store.needed_runs(
        list(registry.runs.values()),
        versions={version.run_id: _called(version) for version in registry.staying if version.run_id},
        datasets=datasets,
        since=now - dt.timedelta(days=settings.retention.mlflow_days),
    )
    with_version = {version.run_id for version in going}
    removals = [mlflow_store.version_removal(version, runs=registry.runs, models=logged) for version in going]
    for run in registry.runs.values():
        if run.run_id not in needed and run.run_id not in with_version:
            own = [
                logged[model.model_id]
                for model in models
                if model.source_run_id == run.run_id and model.model_id in logged and model.model_id not in in_use
            ]
            removals.append(mlflow_store.run_removal(run, models=own))
    kept = [Kept(name=f"version {number}", reason=why) for number, why in registry.kept.items()]
    return removals, kept


def _called(version: Version) -> str:
    return f"version {version.number} of {version.model}"


def _of_trainings(settings: Settings, registry: _Registry, *, present: str | None, now: dt.datetime) -> list[Removal]:
    """Trainings, calibrations and candidates that go."""
    paths, found = settings.paths, folders.read_folders(settings.paths)
    record = paths.production.read_text(encoding="utf-8") if paths.production.exists() else ""
    hashes = {
        digest: version.number
        for version in registry.staying
        for value in version.tags.values()
        for digest in folders.hashes_in(value)
    }
    needed = folders.needed_folders(
        found,
        versions=hashes,
        dataset=present,
        next_release=folders.hashes_in(record),
        since=(now - dt.timedelta(days=settings.retention.training_days)).timestamp(),
    )
    return folders.removals(paths, found, needed=needed)


def _of_exam(paths: Paths, *, staying: Collection[str]) -> list[Removal]:
    """The answers of versions that are gone, or that go."""
    return [
        Removal(
            kind=Kind.EXAM,
            name=str(folder.relative_to(paths.data_root)),
            bytes=size_of(folder),
            reason="of a version that is gone, or that goes",
        )
        for folder in sorted(paths.exam_answers.glob("answers/*"))
        if folder.name.isdecimal() and folder.name not in staying
    ]


def _of_dagster(
    settings: Settings, instance: dg.DagsterInstance, registry: _Registry, *, now: dt.datetime
) -> list[Removal]:
    """Runs of Dagster that go, and what removed ones left."""
    made = {version.run_id for version in registry.staying}
    named = {run.dagster_run for run in registry.runs.values() if run.run_id in made and run.dagster_run}
    own = Path(instance.root_directory).resolve() == settings.paths.dagster_home.resolve()
    runs = dagster_runs.find_runs(
        instance,
        scope=settings.name,
        own=own,
        since=now - dt.timedelta(days=settings.retention.dagster_days),
        named=named,
    )
    return [*runs, *(dagster_runs.find_shards(instance, settings.paths) if own else ())]


def _refuse_new_needs(settings: Settings, connected: "MlflowClient", plan: Plan) -> None:
    """Ask the registry again.

    Raises:
        RetentionError: a version stays by now that the plan removes, or whose files it removes.
    """
    own = [
        version for version in mlflow_store.read_versions(connected) if version.model == settings.registry.model_name
    ]
    asked = {version.number for version in own if version.asked_for}
    new = asked - plan.versions
    if new:
        raise RetentionError(
            f"version {', '.join(sorted(new))} was given an alias, a pin or the tag {version_tags.KEEP} while others "
            "were pruned: nothing more is removed; prune again for a new plan"
        )
