"""Which species the champion can name: those that it was trained on, as far as a registry answers."""

import pytest
from mlflow.tracking import MlflowClient

from pipeline.config.sections import RegistrySettings
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.registry.named_species import named_species
from pipeline.tracking.tags import DATA_VERSION
from tests.pipeline.pages.place_world import listed, make_world, record


@pytest.fixture
def manifest(settings: Settings, with_store: None) -> DatasetManifest:
    """The manifest of a world of two species, beside an empty registry."""
    make_world(settings, [record(), record("Anas superciliosa")], learnt=["Turdus merula", "Anas superciliosa"])
    return DatasetManifest.read(settings.paths)


def champion(settings: Settings, *, dataset: str) -> None:
    client, name = MlflowClient(settings.tracking_uri, settings.tracking_uri), settings.registry.model_name
    client.create_registered_model(name)
    version = client.create_model_version(name, "file:///nowhere", tags={DATA_VERSION: dataset})
    client.set_registered_model_alias(name, "champion", version.version)


def test_without_a_champion_the_dataset_says_what_can_be_named(settings: Settings, manifest: DatasetManifest) -> None:
    told = named_species(settings, manifest)
    assert (told.version, told.keys) == (None, None)
    assert told.text.startswith("naturewatch has no champion yet, so the species of the dataset are marked")


def test_a_champion_of_the_present_dataset_names_its_species(settings: Settings, manifest: DatasetManifest) -> None:
    champion(settings, dataset=manifest.dataset_version)
    told = named_species(settings, manifest)
    assert (told.version, told.keys, told.text) == (
        "naturewatch version 1",
        None,
        "The model is naturewatch version 1.",
    )


def test_a_champion_of_an_earlier_dataset_names_those_of_that_one(
    settings: Settings, manifest: DatasetManifest
) -> None:
    champion(settings, dataset="earlier")
    assert "its own species are not at hand" in named_species(settings, manifest).text
    kept = settings.paths.dataset_version("earlier")
    kept.mkdir(parents=True)
    make_world(settings, [record()])
    settings.paths.table("taxonomy").rename(kept / "taxonomy.parquet")
    make_world(settings, [record(), record("Anas superciliosa")], learnt=["Turdus merula", "Anas superciliosa"])
    told = named_species(settings, manifest)
    assert told.keys == frozenset({"Turdusmerula"})
    rows = {
        row["species"]: (row["named"], row["photographs_missing"]) for row in listed(settings, named=told.keys).here
    }
    assert rows == {"Anas superciliosa": (False, None), "Turdus merula": (True, None)}


def test_a_registry_that_is_away_is_said(settings: Settings, manifest: DatasetManifest) -> None:
    away = settings.model_copy(update={"registry": RegistrySettings(tracking_uri="http://127.0.0.1:9")})
    told = named_species(away, manifest)
    assert (told.version, told.keys) == (None, None)
    assert "The registry does not answer (the MLflow server at 127.0.0.1:9 cannot be reached" in told.text
