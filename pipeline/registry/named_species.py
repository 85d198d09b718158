"""Which species the champion can name, as far as a registry answers: those of the dataset that it was trained on."""

from dataclasses import dataclass

from ml.spec import sqlite_file
from ml.taxonomy import Taxonomy, TaxonomyError
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import NatureWatchError
from pipeline.registry.promotion import CHAMPION, under_alias
from pipeline.tracking.runs import client
from pipeline.tracking.store import first_line
from pipeline.tracking.tags import DATA_VERSION


@dataclass(frozen=True, kw_only=True)
class NamedSpecies:
    """What is known of the champion's species."""

    version: str | None
    """`naturewatch version 3`; None where there is no champion, or no registry answers."""
    keys: frozenset[str] | None
    """Keys of the species that it can name; None: take those of the present dataset."""
    text: str
    """Which species are meant, in a sentence for people."""


def named_species(settings: Settings, manifest: DatasetManifest) -> NamedSpecies:
    """Look up the champion; that there is none, or that its registry is away, is an answer, too.

    Args:
        settings: Name the registry and the model.
        manifest: The present dataset.
    """
    instead = "so the species of the dataset are marked, which the next version can name."
    database = sqlite_file(settings.tracking_uri)
    if database is not None and not database.exists():
        return NamedSpecies(version=None, keys=None, text=f"There is no model yet, {instead}")
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)

    name = settings.registry.model_name
    try:
        version = under_alias(client(settings), name, CHAMPION)
    except (NatureWatchError, MlflowException, OSError) as error:
        return NamedSpecies(
            version=None, keys=None, text=f"The registry does not answer ({first_line(error)}), {instead}"
        )
    if version is None:
        return NamedSpecies(version=None, keys=None, text=f"{name} has no champion yet, {instead}")
    title = f"{name} version {version.version}"
    dataset = version.tags.get(DATA_VERSION)
    if dataset == manifest.dataset_version:
        return NamedSpecies(version=title, keys=None, text=f"The model is {title}.")
    tree = settings.paths.dataset_version(dataset or "unknown") / "taxonomy.parquet"
    try:
        taxonomy = Taxonomy.read(tree)
    except TaxonomyError:
        text = f"The model is {title}; its own species are not at hand, so those of the present dataset are marked."
        return NamedSpecies(version=title, keys=None, text=text)
    keys = frozenset(key for leaf in taxonomy.leaves if (key := taxonomy.taxon_key[int(leaf)]))
    return NamedSpecies(
        version=title, keys=keys, text=f"The model is {title}, which was trained on an earlier dataset."
    )
