"""Model versions and the dataset versions that they were trained on: found by number, alias or hash."""

from typing import TYPE_CHECKING, Final

from ml.spec import sqlite_file
from pipeline.config.settings import Settings
from pipeline.dataset.registration import Registration
from pipeline.errors import RegistryError
from pipeline.provenance.croissant import name_doi
from pipeline.provenance.kept import Kept
from pipeline.registry.promotion import CHAMPION, under_alias, version_wanted
from pipeline.tracking.descriptions import DATASET_STAGE
from pipeline.tracking.runs import client, experiment_id
from pipeline.tracking.tags import DATA_VERSION, DERIVED_DOI

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

LISTED: Final = 1_000
"""Versions that one page of the registry holds."""


def model_version(settings: Settings, wanted: str) -> "ModelVersion":
    """A version of the registered model.

    Args:
        settings: The configuration.
        wanted: Its number; `previous`, for the one that the champion replaced; or an alias.

    Raises:
        RegistryError: there is no registry, or no such version.
    """
    _require_registry(settings)
    connected, name = client(settings), settings.registry.model_name
    return version_wanted(connected, name, wanted, champion=under_alias(connected, name, CHAMPION))


def dataset_of(settings: Settings, wanted: str) -> Kept:
    """A dataset version by its hash, or the one that a model version was trained on.

    Raises:
        RegistryError: there is no such version, or it does not say what it was trained on.
    """
    if settings.paths.dataset_version(wanted).is_dir():
        return Kept.of(settings.paths, wanted)
    version = model_version(settings, wanted)
    dataset = version.tags.get(DATA_VERSION)
    if dataset is None:
        raise RegistryError(f"version {version.version} does not say on which dataset it was trained")
    return Kept.of(settings.paths, dataset)


def tag_derived(settings: Settings, dataset_version: str, registration: Registration) -> list[str]:
    """Name the DOI of a registered dataset with the model versions and the run of this dataset, and in its description.

    Returns:
        The numbers of these model versions.
    """
    name_doi(settings.paths, dataset_version, registration)
    database = sqlite_file(settings.tracking_uri)
    if database is not None and not database.exists():
        return []
    connected, name = client(settings), settings.registry.model_name.replace("'", "''")
    condition = f"name = '{name}' and tags.`{DATA_VERSION}` = '{dataset_version}'"
    found = connected.search_model_versions(condition, max_results=LISTED)
    for version in found:
        connected.set_model_version_tag(version.name, version.version, DERIVED_DOI, registration.doi)
    runs = connected.search_runs(
        [experiment_id(settings, connected)],
        filter_string=f"tags.`naturewatch.stage` = '{DATASET_STAGE}' and "
        f"tags.`naturewatch.dataset_version` = '{dataset_version}'",
    )
    for run in runs:
        connected.set_tag(run.info.run_id, DERIVED_DOI, registration.doi)
    return sorted((str(version.version) for version in found), key=int)


def _require_registry(settings: Settings) -> None:
    """Asking a registry must not make one."""
    database = sqlite_file(settings.tracking_uri)
    if database is not None and not database.exists():
        raise RegistryError(
            f"there is no registry at {database}: run `naturewatch run` first, or name another --config"
        )
