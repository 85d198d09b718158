"""Model versions in an empty registry of MLflow, with the files that they keep of their making."""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import yaml

from ml.spec import TrainResult
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.registry.version_record import configuration, documents
from pipeline.tracking.runs import client
from pipeline.tracking.tags import BACKBONE, DATA_VERSION, NETWORK, RECIPE, SPLIT_HASH, TAXONOMY_HASH

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def register(settings: Settings, manifest: DatasetManifest, *, earlier: bool = False, **tags: str) -> "ModelVersion":
    """Register a version; one of `earlier` code keeps neither its configuration nor a record.

    Args:
        settings: The configuration.
        manifest: The dataset version; kept in the data root.
        earlier: Whether it was registered before this was recorded.
        tags: Further tags, a dot in their names written as two underscores.
    """
    connected, name = client(settings), settings.registry.model_name
    if not connected.search_registered_models(f"name = '{name}'"):
        connected.create_registered_model(name)
    number = len(connected.search_model_versions(f"name = '{name}'")) + 1
    folder = settings.paths.mlflow_artifacts / "models" / f"m-{number}" / "artifacts"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "MLmodel").touch()
    (folder / "requirements.txt").write_text("mlflow==3.17.2\ntimm==1.0.31\ntorch==2.14.1", encoding="utf-8")
    files = [settings.paths.table("attribution")]
    if not earlier:
        training = cast("TrainResult", SimpleNamespace(hardware="a GPU", seconds=7_800.0))
        files += documents(settings, manifest, training=training, reason="the best of the comparison").values()
    for file in files:
        (folder / "artifacts" / file.name).write_bytes(file.read_bytes())
    own = {
        "gbif.download_key": manifest.download_key or "",
        "gbif.doi": manifest.doi or "",
        "gbif.checklist_key": manifest.checklist_key or "",
        "naturewatch.source": manifest.source,
        "git.commit": "9" * 40,
        DATA_VERSION: manifest.dataset_version,
        SPLIT_HASH: manifest.split_hash,
        TAXONOMY_HASH: manifest.taxonomy_hash,
        NETWORK: "knowledge_transfer",
        RECIPE: "sample",
        BACKBONE: "tf_efficientnet_lite0",
    }
    told = {key.replace("__", "."): value for key, value in tags.items()}
    if settings.tracking_uri.startswith("sqlite:"):
        return connected.create_model_version(name, source=folder.as_uri(), tags={**own, **told})
    # A server takes no files of this machine: they are the artifacts of a run.
    experiment = connected.get_experiment_by_name(settings.registry.experiment)
    assert experiment is not None
    run = connected.create_run(experiment.experiment_id)
    connected.log_artifacts(run.info.run_id, str(folder), artifact_path="model")
    source = f"{run.info.artifact_uri}/model"
    return connected.create_model_version(name, source=source, run_id=run.info.run_id, tags={**own, **told})


def scope_file(settings: Settings, folder: Path) -> Path:
    """The settings as a file for `--config`."""
    file = folder / "scope.yaml"
    values = {**yaml.safe_load(configuration(settings)[0]), "data_root": str(settings.data_root)}
    # Where the registry is, is no part of what a version was made with.
    values["registry"] = {**values.get("registry", {}), "tracking_uri": settings.registry.tracking_uri}
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file
