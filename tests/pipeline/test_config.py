"""One YAML file per scope; the environment overrides; what is unknown is named."""

from pathlib import Path

import pytest

from pipeline.config import COL_XR_CHECKLIST, INATURALIST_DATASET, SplitSettings, load_settings
from pipeline.errors import ConfigurationError


@pytest.mark.parametrize("scope", ["sample", "nz-birds", "nz", "paper"])
def test_every_scope_of_the_project_loads(repository: Path, scope: str) -> None:
    settings = load_settings(repository / "conf" / f"{scope}.yaml")
    assert settings.name == scope
    assert settings.source.dataset_key == INATURALIST_DATASET
    assert settings.source.checklist_key == COL_XR_CHECKLIST


def test_the_sample_scope_is_the_default() -> None:
    assert load_settings().name == "sample"


def test_the_environment_names_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ndata_root: data/mine\n")
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(file))
    assert load_settings().name == "mine"


def test_the_environment_overrides_single_keys_and_leaves_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATUREWATCH__SOURCE__REPLICA__PHOTOS", "somewhere/photos.csv")
    monkeypatch.setenv("NATUREWATCH__SPLIT__SEED", "7")
    monkeypatch.setenv("NATUREWATCH__SOURCE__TAXON_KEYS", '["V2", "Q2M4"]')
    settings = load_settings()
    assert settings.source.replica.photos == Path("somewhere/photos.csv")
    assert settings.source.replica.release == 1
    assert settings.source.taxon_keys == ("V2", "Q2M4")
    assert settings.split.seed == 7
    assert settings.split.unit == "observation"


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("NATUREWATCH__SORUCE__MODE", "soruce"),
        ("NATUREWATCH__SOURCE__MODUS", "source.modus"),
        ("NATUREWATCH__SOURCE__REPLICA__PHOTO", "source.replica.photo"),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_the_key(
    monkeypatch: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigurationError, match=named):
        load_settings()


def test_an_unknown_key_in_the_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("name: wrong\ndata_root: data\nsplit: {min_image: 5}\n")
    with pytest.raises(ConfigurationError, match=r"split\.min_image"):
        load_settings(file)


@pytest.mark.parametrize("text", ["[1, 2]", "name: [", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"wrong\.yaml"):
        load_settings(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_settings(tmp_path / "absent.yaml")


def test_the_default_store_is_absolute_sqlite_below_the_data_root() -> None:
    settings = load_settings()
    assert settings.tracking_uri == f"sqlite:///{settings.paths.data_root}/mlflow.db"
    assert settings.paths.data_root.is_absolute()


def test_the_papers_mode_has_neither_caps_nor_rare_species(repository: Path) -> None:
    split = load_settings(repository / "conf" / "paper.yaml").split
    assert (split.photos_per_observation, split.photos_per_species, split.rare_species) == (None, None, "drop")
    assert split.unit == "photo"


def test_a_cap_below_the_minimum_is_refused() -> None:
    with pytest.raises(ValueError, match="photos_per_species is 4, below min_images 5"):
        SplitSettings(photos_per_species=4)
