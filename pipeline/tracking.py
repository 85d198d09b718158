"""MLflow, seen from the pipeline: the experiment, the parent run of a dataset version, addresses for people.

Runs are found by tag, never passed as handles. Children (training, calibration, registration) log by themselves
through `ml.tracking`, nested in the parent run made here.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml.spec import TrackingSpec
from pipeline.config import Settings
from pipeline.dataset.manifest import TABLES, DatasetManifest
from pipeline.files import exclusive

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


# Telemetry is decided by the operator, not by a library; set before anything imports mlflow.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

DATASET_STAGE = "dataset"
"""Tag `naturewatch.stage` of the parent run."""
COMPARISON_STAGE = "comparison"
"""And of the run that holds the networks side by side."""


def client(settings: Settings) -> "MlflowClient":
    """A client of the configured store; its database and experiment exist afterwards."""
    # Every step of a run imports this module, and few of them log: mlflow costs two seconds.
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    if settings.tracking_uri.startswith("sqlite:///"):
        Path(settings.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    # Several processes must not migrate a fresh database at once.
    with exclusive(settings.paths.data_root / ".mlflow.lock", wait_seconds=120):
        connected = MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)
        if connected.get_experiment_by_name(settings.registry.experiment) is None:
            location = settings.paths.mlflow_artifacts.as_uri() if _is_local(settings) else None
            connected.create_experiment(settings.registry.experiment, artifact_location=location)
    return connected


def experiment_id(settings: Settings, connected: "MlflowClient") -> str:
    """The identifier of the configured experiment, which `client` made sure of."""
    experiment = connected.get_experiment_by_name(settings.registry.experiment)
    assert experiment is not None  # noqa: S101 (an invariant of `client`)
    return str(experiment.experiment_id)


def dataset_run(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    tags: Mapping[str, str],
    figures: Mapping[str, bytes] | None = None,
) -> str:
    """The parent run of this dataset version: found by its tag, or made with the data facts.

    Args:
        settings: The configuration.
        manifest: The facts: counts per step, rejections, hashes, download key and DOI.
        tags: Further tags, the Dagster run's address among them.
        figures: PNG pictures by file name, logged when given.

    Returns:
        The MLflow run's identifier.
    """
    connected = client(settings)
    experiment = experiment_id(settings, connected)
    found = connected.search_runs(
        [experiment],
        filter_string=(
            f"tags.`naturewatch.stage` = '{DATASET_STAGE}' "
            f"and tags.`naturewatch.dataset_version` = '{manifest.dataset_version}'"
        ),
        max_results=1,
    )
    if found:
        run_id = str(found[0].info.run_id)
    else:
        run = connected.create_run(experiment, run_name=f"dataset {manifest.dataset_version[:8]}")
        run_id = str(run.info.run_id)
        _log_facts(connected, run_id, settings=settings, manifest=manifest)
        connected.set_terminated(run_id)
    for key, value in tags.items():
        connected.set_tag(run_id, key, value)
    for name, picture in (figures or {}).items():
        _log_bytes(connected, run_id, name=name, content=picture)
    return run_id


def comparison_run(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    version: str,
    metrics: Mapping[str, float],
    files: Sequence[Path],
    tags: Mapping[str, str],
) -> str:
    """The run of a comparison, nested in its dataset version's: found by its tags, or made; logged anew each time.

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
    from mlflow.entities import Metric, RunTag  # noqa: PLC0415 (as in `client`)

    connected = client(settings)
    experiment = experiment_id(settings, connected)
    own = {"naturewatch.stage": COMPARISON_STAGE, "naturewatch.spec_hash": version}
    found = connected.search_runs(
        [experiment],
        filter_string=" and ".join(f"tags.`{key}` = '{value}'" for key, value in own.items()),
        max_results=1,
    )
    if found:
        run_id = str(found[0].info.run_id)
    else:
        parent = {"mlflow.parentRunId": dataset_run(settings, manifest, tags={})}
        facts = {
            "naturewatch.scope": settings.name,
            "naturewatch.dataset_version": manifest.dataset_version,
            "naturewatch.split_hash": manifest.split_hash,
        }
        run = connected.create_run(experiment, run_name=COMPARISON_STAGE, tags={**own, **parent, **facts})
        run_id = str(run.info.run_id)
    now = int(time.time() * 1000)
    connected.log_batch(
        run_id,
        metrics=[Metric(name, number, now, 0) for name, number in metrics.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    for file in files:
        connected.log_artifact(run_id, str(file), artifact_path="figures" if file.suffix == ".png" else None)
    connected.set_terminated(run_id)
    return run_id


def _log_facts(connected: "MlflowClient", run_id: str, *, settings: Settings, manifest: DatasetManifest) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 (as in `client`)

    facts = {
        "naturewatch.stage": DATASET_STAGE,
        "naturewatch.scope": settings.name,
        "naturewatch.dataset_version": manifest.dataset_version,
        "naturewatch.split_hash": manifest.split_hash,
        "gbif.download_key": manifest.download_key or "",
        "gbif.doi": manifest.doi or "",
        "gbif.checklist_key": manifest.checklist_key or "",
        "naturewatch.source": manifest.source,
    }
    for key, value in facts.items():
        connected.set_tag(run_id, key, value)
    for name, number in manifest.metrics().items():
        connected.log_metric(run_id, name, number)
    connected.log_param(run_id, "split_unit", settings.split.unit)
    connected.log_param(run_id, "split_seed", settings.split.seed)
    connected.log_param(run_id, "min_images", settings.split.min_images)
    connected.log_param(run_id, "unusual_taxonomy", settings.taxonomy.unusual)
    connected.log_dict(run_id, manifest.model_dump(mode="json"), "dataset.json")
    for name in TABLES:
        table = settings.paths.table(name)
        dataset = Dataset(
            name=name,
            digest=manifest.table_hashes[name][:36],
            source_type="local",
            source=json.dumps({"uri": str(table)}),
        )
        tag = InputTag("mlflow.data.context", "data")
        connected.log_inputs(run_id, datasets=[DatasetInput(dataset=dataset, tags=[tag])])
        if table.stat().st_size < 50_000_000:
            connected.log_artifact(run_id, str(table), artifact_path="tables")


def tracking_spec(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    stage: str,
    tags: Mapping[str, str],
) -> TrackingSpec:
    """Where a child of this dataset version logs."""
    return TrackingSpec(
        uri=settings.tracking_uri,
        experiment=settings.registry.experiment,
        parent_run_id=dataset_run(settings, manifest, tags={}),
        stage=stage,
        tags={
            **tags,
            "naturewatch.scope": settings.name,
            "naturewatch.dataset_version": manifest.dataset_version,
            "naturewatch.split_hash": manifest.split_hash,
        },
    )


def run_url(settings: Settings, run_id: str) -> str:
    """Where a person sees an MLflow run."""
    connected = client(settings)
    experiment = experiment_id(settings, connected)
    return f"{settings.registry.mlflow_url.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"


def _log_bytes(connected: "MlflowClient", run_id: str, *, name: str, content: bytes) -> None:
    import tempfile  # noqa: PLC0415 (only here)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        connected.log_artifact(run_id, str(path), artifact_path="figures")


def _is_local(settings: Settings) -> bool:
    return not settings.tracking_uri.startswith(("http://", "https://", "databricks"))


__all__ = ["client", "comparison_run", "dataset_run", "experiment_id", "run_url", "tracking_spec"]
