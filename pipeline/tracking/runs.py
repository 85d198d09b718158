"""MLflow for the pipeline: the client, the run of a dataset version, the run of a comparison.

Runs are found by tag, never passed as handles. Children (training, calibration, registration) log through
`ml.child.tracking`, nested in the run of their dataset version.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow.csv
import pyarrow.parquet as pq

from ml.spec import MLFLOW_DEFAULTS, TrackingSpec, sqlite_file
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import TABLES, DatasetManifest
from pipeline.errors import TrackingError
from pipeline.files import exclusive
from pipeline.tracking.descriptions import (
    COMPARISON_STAGE,
    DATASET_STAGE,
    NOTE,
    describe,
    description_of,
    name_of,
    title_of,
)
from pipeline.tracking.server import check_answers, is_remote, without_password
from pipeline.tracking.store import ensure_store, first_line, relocate

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

os.environ.update({**MLFLOW_DEFAULTS, **os.environ})

FINISHED = "FINISHED"
"""Status of a run that was filled to its end."""
LARGE_BYTES = 50_000_000
"""A table of this size or more is recorded, but not uploaded."""
PICTURES = (".png", ".svg")
CSV_ROWS = 10_000
"""A table of at most so many rows is stored as CSV, too."""
FILL_SECONDS = 900.0
"""How long a step waits for another that fills the parent run: tables may be uploaded to a distant server."""


def client(settings: Settings) -> "MlflowClient":
    """A client of the configured store; afterwards its database and experiment exist below the present data root.

    Raises:
        TrackingError: the store is damaged, or of another version.
        RegistryError: its server does not answer.
    """
    # Every step of a run imports this module, and few of them log: mlflow costs two seconds.
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    uri, artifacts, name = settings.tracking_uri, settings.paths.mlflow_artifacts, settings.registry.experiment
    check_answers(settings)
    # Several processes must not create a new store at once.
    with exclusive(_lock(settings), wait_seconds=120):
        database = sqlite_file(uri)
        if database is not None:
            ensure_store(database, experiment=name, artifacts=artifacts, work=settings.paths.work("mlflow"))
        if database == settings.paths.mlflow_database:
            relocate(database, artifacts)
        try:
            connected = MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment = connected.get_experiment_by_name(name)
            if experiment is None:
                location = None if is_remote(settings) else artifacts.as_uri()
                connected.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            told = first_line(error).replace(uri, without_password(uri))
            raise TrackingError(f"MLflow's store {without_password(uri)} cannot be used: {told}") from error
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment {name!r} of {without_password(uri)} was deleted: restore it with `mlflow experiments "
            f"restore --experiment-id {experiment.experiment_id}`, or name another in registry.experiment"
        )
    return connected


def experiment_id(settings: Settings, connected: "MlflowClient") -> str:
    """The identifier of the configured experiment, which `client` made sure of."""
    experiment = connected.get_experiment_by_name(settings.registry.experiment)
    assert experiment is not None  # noqa: S101 (an invariant of `client`)
    return str(experiment.experiment_id)


def describe_store(settings: Settings, connected: "MlflowClient") -> None:
    """Describe experiment, model and runs in words, as far as they are not described yet."""
    experiment = experiment_id(settings, connected)
    describe(connected, experiment, settings=settings, own_store=not is_remote(settings))


def dataset_run(settings: Settings, manifest: DatasetManifest, *, tags: Mapping[str, str]) -> str:
    """The parent run of this dataset version: found by its tags, or created; filled with the data facts until it ended.

    Args:
        settings: The configuration.
        manifest: The facts: counts per step, rejections, hashes, download key and DOI.
        tags: Further tags, the Dagster run's address among them.

    Returns:
        The MLflow run's identifier.
    """
    connected = client(settings)
    own = {"naturewatch.stage": DATASET_STAGE, "naturewatch.dataset_version": manifest.dataset_version}
    # Stages that begin together share one parent, and none nests in it before it is filled.
    with exclusive(_lock(settings), wait_seconds=FILL_SECONDS):
        run = _found_or_created(settings, connected, own, facts=_version_tags(settings, manifest))
        if run.info.status != FINISHED:
            describe_store(settings, connected)
            _log_facts(connected, run, settings=settings, manifest=manifest)
            connected.set_terminated(run.info.run_id)
    _log(connected, run, tags=tags)
    return str(run.info.run_id)


def comparison_run(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    version: str,
    metrics: Mapping[str, float],
    files: Sequence[Path],
    tags: Mapping[str, str],
) -> str:
    """The run of a comparison, nested in that of its dataset version: found by its tags, or created; logged each time.

    Args:
        settings: The configuration.
        manifest: The dataset version.
        version: What was compared.
        metrics: Numbers by name.
        files: Page, tables and pictures.
        tags: Further tags, the Dagster run's address among them.

    Returns:
        The MLflow run's identifier.
    """
    connected = client(settings)
    own = {"naturewatch.stage": COMPARISON_STAGE, "naturewatch.spec_hash": version}
    facts = {"mlflow.parentRunId": dataset_run(settings, manifest, tags={}), **_version_tags(settings, manifest)}
    run = _found_or_created(settings, connected, own, facts=facts)
    note = description_of(COMPARISON_STAGE, facts)
    _log(connected, run, metrics=metrics, tags={**tags, NOTE: note})
    for file in files:
        _log_file(connected, run, file)
    connected.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def tracking_spec(
    settings: Settings, manifest: DatasetManifest, *, stage: str, title: str | None = None, tags: Mapping[str, str]
) -> TrackingSpec:
    """Where a child of this dataset version logs.

    Args:
        settings: The configuration.
        manifest: The dataset version.
        stage: The asset that the child is started for.
        title: What it does, for people, where that is more than the stage says: one of several seeds or ranks.
        tags: Further tags, the Dagster run's address among them.
    """
    own = {**tags, **_version_tags(settings, manifest)}
    return TrackingSpec(
        uri=settings.tracking_uri,
        experiment=settings.registry.experiment,
        parent_run_id=dataset_run(settings, manifest, tags={}),
        stage=stage,
        title=title or title_of(stage),
        scope=settings.name,
        tags={**own, NOTE: description_of(stage, own)},
    )


def log_files(settings: Settings, run_id: str, files: Mapping[str, Path]) -> None:
    """Store files with a run; a file that it has already is replaced.

    Args:
        settings: The configuration.
        run_id: The run.
        files: Files by their place in the run's artifacts (`dataset/index.html`).

    Raises:
        FileNotFoundError: one of the files does not exist; nothing is stored.
    """
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"cannot be logged to MLflow, missing: {', '.join(missing)}")
    connected = client(settings)
    for place, file in files.items():
        folder, _, name = place.rpartition("/")
        with TemporaryDirectory(prefix="naturewatch-") as scratch:
            # MLflow keeps the name of the file that it is given.
            named = file if file.name == name else Path(shutil.copy(file, Path(scratch) / name))
            connected.log_artifact(run_id, str(named), artifact_path=folder or None)


def _log_facts(connected: "MlflowClient", run: "Run", *, settings: Settings, manifest: DatasetManifest) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 (as in `client`)

    run_id = run.info.run_id
    tags = {
        **_version_tags(settings, manifest),
        "gbif.download_key": manifest.download_key or "",
        "gbif.doi": manifest.doi or "",
        "gbif.checklist_key": manifest.checklist_key or "",
        "naturewatch.source": manifest.source,
    }
    tags[NOTE] = description_of(DATASET_STAGE, tags)
    params = {
        "split_unit": settings.split.unit,
        "split_seed": settings.split.seed,
        "min_images": settings.split.min_images,
        "unusual_taxonomy": settings.taxonomy.unusual,
    }
    # They are write-once, and a run that was killed may have some.
    params = {name: value for name, value in params.items() if name not in run.data.params}
    metrics = {name if "/" in name else f"count/{name}": number for name, number in manifest.metrics().items()}
    _log(connected, run, metrics=metrics, params=params, tags=tags)
    connected.log_dict(run_id, manifest.model_dump(mode="json"), "dataset.json")
    for name in TABLES:
        table = settings.paths.table(name)
        dataset = Dataset(
            name=name,
            digest=manifest.table_hashes[name][:36],
            source_type="local",
            # Below the data root, which may be moved.
            source=json.dumps({"uri": str(table.relative_to(settings.paths.data_root))}),
        )
        tag = InputTag("mlflow.data.context", "data")
        connected.log_inputs(run_id, datasets=[DatasetInput(dataset=dataset, tags=[tag])])
        if table.stat().st_size < LARGE_BYTES:
            _log_file(connected, run, table, folder="tables")


def _log_file(connected: "MlflowClient", run: "Run", file: Path, *, folder: str | None = None) -> None:
    """Store a file: a picture in `figures`, a small table as CSV, too, since MLflow's UI shows no Parquet."""
    run_id = run.info.run_id
    connected.log_artifact(run_id, str(file), artifact_path="figures" if file.suffix in PICTURES else folder)
    if file.suffix == ".parquet" and pq.read_metadata(file).num_rows <= CSV_ROWS:
        with TemporaryDirectory(prefix="naturewatch-") as scratch:
            text = Path(scratch) / f"{file.stem}.csv"
            pyarrow.csv.write_csv(pq.read_table(file), text)
            connected.log_artifact(run_id, str(text), artifact_path=folder)


def _log(
    connected: "MlflowClient",
    run: "Run",
    *,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str],
) -> None:
    """Log numbers, parameters and tags in one request."""
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 (as in `client`)

    if not (metrics or params or tags):
        return
    now = int(time.time() * 1000)
    connected.log_batch(
        run.info.run_id,
        metrics=[Metric(name, number, now, 0) for name, number in (metrics or {}).items()],
        params=[Param(name, str(value)) for name, value in (params or {}).items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def _found_or_created(
    settings: Settings,
    connected: "MlflowClient",
    own: Mapping[str, str],
    *,
    facts: Mapping[str, str],
) -> "Run":
    """The latest run with the tags `own`, or a new one with these and the further tags `facts`, and with a name."""
    experiment = experiment_id(settings, connected)
    condition = " and ".join(f"tags.`{key}` = '{value}'" for key, value in own.items())
    found = connected.search_runs([experiment], filter_string=condition, max_results=1)
    if found:
        return found[0]
    tags = {**own, **facts}
    now = int(time.time() * 1000)
    return connected.create_run(experiment, start_time=now, run_name=name_of(tags, started_ms=now), tags=tags)


def _version_tags(settings: Settings, manifest: DatasetManifest) -> dict[str, str]:
    """Tags of every run that belongs to this dataset version."""
    return {
        "naturewatch.scope": settings.name,
        "naturewatch.dataset_version": manifest.dataset_version,
        "naturewatch.split_hash": manifest.split_hash,
    }


def _lock(settings: Settings) -> Path:
    return settings.paths.data_root / ".mlflow.lock"
