"""Model versions and runs of MLflow: which there are, which go, and how they go. The registry is asked, never guessed.

MLflow's own `mlflow gc` cannot be told to remove certain runs only: it also takes every experiment and every model that
somebody has put into MLflow's bin. So what it does with one run is done here, with its own means.
"""

import datetime as dt
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pipeline.config.settings import Settings
from pipeline.retention.kept_versions import Version
from pipeline.retention.removals import Kind, Removal
from pipeline.retention.sizes import size_of
from pipeline.tracking import tags as version_tags
from pipeline.tracking.descriptions import CANDIDATE_STAGE
from pipeline.tracking.runs import FINISHED, experiment_id

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.tracking import MlflowClient

PAGE: Final = 1_000
"""Runs that are asked for at a time."""


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What is known of one run of the scope."""

    run_id: str
    started: dt.datetime
    finished: bool
    stage: str
    dataset: str | None
    keep: bool = False
    """Whether it has the tag `naturewatch.keep`."""
    parent: str | None = None
    dagster_run: str | None = None
    folder: Path | None = field(default=None, compare=False)
    """Where its files are, on this machine; None in another store."""


def read_versions(connected: "MlflowClient") -> list[Version]:
    """All versions of all registered models: another model may hold what was logged here."""
    models = connected.search_registered_models(max_results=PAGE)
    known = list(models)
    while models.token:
        models = connected.search_registered_models(max_results=PAGE, page_token=models.token)
        known += models
    aliases: dict[tuple[str, str], set[str]] = {}
    for model in known:
        for alias, number in model.aliases.items():
            aliases.setdefault((model.name, str(number)), set()).add(alias)
    pinned = {(model.name, model.tags.get(version_tags.PINNED, "").partition(": ")[0]) for model in known}
    page = connected.search_model_versions(max_results=PAGE)
    found: list[Any] = list(page)
    while page.token:
        page = connected.search_model_versions(max_results=PAGE, page_token=page.token)
        found += page
    return [
        Version(
            model=each.name,
            number=str(each.version),
            created=_moment(each.creation_timestamp),
            aliases=frozenset(aliases.get((each.name, str(each.version)), ())),
            tags=dict(each.tags),
            pinned=(each.name, str(each.version)) in pinned,
            run_id=each.run_id or None,
            model_id=each.model_id or _model_id(each.source),
        )
        for each in found
    ]


def read_runs(settings: Settings, connected: "MlflowClient") -> list[TrackedRun]:
    """All runs of this scope, also those in MLflow's bin if they can be removed from there.

    Runs that NatureWatch did not make are nobody's business.
    """
    from mlflow.entities import ViewType  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    scope = settings.name.replace("'", "''")
    options: dict[str, Any] = {
        "experiment_ids": [experiment_id(settings, connected)],
        "filter_string": f"tags.`naturewatch.scope` = '{scope}'",
        "run_view_type": ViewType.ALL if hasattr(_store(connected), "_hard_delete_run") else ViewType.ACTIVE_ONLY,
        "max_results": PAGE,
    }
    page = connected.search_runs(**options)
    found = list(page)
    while page.token:
        page = connected.search_runs(**options, page_token=page.token)
        found += page
    return [_tracked(run) for run in found]


def needed_runs(
    runs: Collection[TrackedRun],
    *,
    versions: Mapping[str, str],
    datasets: Collection[str],
    since: dt.datetime,
) -> dict[str, str]:
    """The runs that stay: identifier -> why.

    Args:
        runs: All runs of the scope.
        versions: The runs of the model versions that stay, with what these are called.
        datasets: The dataset versions of these, and the present one.
        since: Runs that began later stay.
    """
    known = {run.run_id: run for run in runs}
    needed: dict[str, str] = {}
    for run in runs:
        if run.run_id in versions:
            needed[run.run_id] = versions[run.run_id]
        elif run.keep:
            needed[run.run_id] = f"tag {version_tags.KEEP}"
        elif run.stage == CANDIDATE_STAGE and run.finished:
            # It registered a version that is gone, or that goes.
            continue
        elif run.dataset is None:
            needed[run.run_id] = "it does not say which dataset it belongs to"
        elif run.dataset in datasets:
            needed[run.run_id] = f"dataset {run.dataset}"
        elif run.started >= since:
            needed[run.run_id] = "it is new"
    reached = list(needed)
    while reached:
        run_id = reached.pop()
        parent = known[run_id].parent
        if parent in known and parent not in needed:
            needed[parent] = f"run {run_id} is nested in it"
            reached.append(parent)
    return needed


def version_removal(version: Version, *, runs: Mapping[str, TrackedRun], models: Mapping[str, Path]) -> Removal:
    """A version as something that goes, with its run and its files."""
    run = runs.get(version.run_id or "")
    places = [None if run is None else run.folder, models.get(version.model_id or "")]
    taken = sum(size_of(folder) for folder in places if folder is not None)
    reason = "neither under an alias nor kept by its tags, its age or a version that was trained on from it"
    return Removal(kind=Kind.VERSION, name=version.number, bytes=taken, reason=reason)


def run_removal(run: TrackedRun, *, models: Iterable[Path]) -> Removal:
    """A run as something that goes, with its files and the models that were logged to it."""
    taken = sum(size_of(folder) for folder in (run.folder, *models) if folder is not None)
    gone = "its model version is gone" if run.stage == CANDIDATE_STAGE and run.finished else "of an earlier dataset"
    return Removal(kind=Kind.MLFLOW_RUN, name=run.run_id, bytes=taken, reason=gone)


def logged_models(settings: Settings, connected: "MlflowClient") -> "list[LoggedModel]":
    """All models that were logged to runs of the experiment."""
    page = connected.search_logged_models([experiment_id(settings, connected)])
    found = list(page)
    while page.token:
        page = connected.search_logged_models([experiment_id(settings, connected)], page_token=page.token)
        found += page
    return found


def local_folder(address: str) -> Path | None:
    """The folder that an address of MLflow's means; None where it is on another machine."""
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme in {"", "file"} else None


def remove_version(settings: Settings, connected: "MlflowClient", number: str) -> None:
    """Remove a version from the registry, then its files and its run, unless another version has them, too.

    Killed meanwhile, the version is gone as a whole, and the next pruning finds its run without one.
    """
    name, versions = settings.registry.model_name, read_versions(connected)
    version = next((each for each in versions if (each.model, each.number) == (name, number)), None)
    if version is None:
        return
    connected.delete_model_version(name, number)
    others = [each for each in versions if each is not version]
    if version.run_id and version.run_id not in {each.run_id for each in others}:
        remove_run(settings, connected, version.run_id)
    elif version.model_id and version.model_id not in {each.model_id for each in others}:
        for model in logged_models(settings, connected):
            if model.model_id == version.model_id:
                _remove_model(connected, model)


def remove_run(settings: Settings, connected: "MlflowClient", run_id: str) -> None:
    """Remove a run with its files, and the models that were logged to it and that no version has.

    A store behind a server keeps the run itself, without files, in MLflow's bin: `mlflow gc` empties it.
    """
    in_use = {version.model_id for version in read_versions(connected)}
    for model in logged_models(settings, connected):
        if model.source_run_id == run_id and model.model_id not in in_use:
            _remove_model(connected, model)
    run = connected.get_run(run_id)
    _remove_files(run.info.artifact_uri, server=connected.tracking_uri)
    store = _store(connected)
    if hasattr(store, "_hard_delete_run"):
        store._hard_delete_run(run_id)  # What `mlflow gc` calls.
    elif run.info.lifecycle_stage == "active":
        connected.delete_run(run_id)


def _remove_model(connected: "MlflowClient", model: "LoggedModel") -> None:
    _remove_files(model.artifact_location, server=connected.tracking_uri)
    store = _store(connected)
    if hasattr(store, "_hard_delete_logged_model"):
        store._hard_delete_logged_model(model.model_id)  # What `mlflow gc` calls.
    else:
        connected.delete_logged_model(model.model_id)


def _remove_files(address: str, *, server: str) -> None:
    """Remove the files of a run or model, and on this machine the empty folder around them."""
    from mlflow.store.artifact.artifact_repository_registry import (  # noqa: PLC0415 (as above)
        get_artifact_repository,
    )

    folder = local_folder(address)
    if folder is None:
        get_artifact_repository(address, tracking_uri=server).delete_artifacts()  # type: ignore[no-untyped-call]
        return
    if folder.exists():
        shutil.rmtree(folder)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def _store(connected: "MlflowClient") -> Any:  # noqa: ANN401 (one of MLflow's stores)
    return connected._tracking_client.store


def _tracked(run: "Run") -> TrackedRun:
    tags = run.data.tags
    return TrackedRun(
        run_id=run.info.run_id,
        started=_moment(run.info.start_time),
        finished=run.info.status == FINISHED,
        stage=tags.get("naturewatch.stage", ""),
        dataset=tags.get("naturewatch.dataset_version"),
        keep=version_tags.KEEP in tags,
        parent=tags.get("mlflow.parentRunId"),
        dagster_run=tags.get("dagster.run_id"),
        folder=local_folder(run.info.artifact_uri),
    )


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC)


def _model_id(source: str | None) -> str | None:
    """The logged model that a version was made from, by its source `models:/m-...`."""
    found = (source or "").removeprefix("models:/")
    return found if found.startswith("m-") and "/" not in found else None
