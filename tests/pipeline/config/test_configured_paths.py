"""Every path of the configuration is read as a shell reads it."""

from pathlib import Path

import pytest

from pipeline.config.settings import configuration_file, load_settings
from pipeline.errors import ConfigurationError
from tests.pipeline.config.test_settings import read


def test_home_and_variables_are_expanded_in_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path))
    for name in ("mine.safetensors", "walk.csv"):
        (tmp_path / name).touch()
    (tmp_path / "recipe.json").write_text('{"baseline": {}}')
    (tmp_path / "scope.yaml").write_text(
        "name: mine\ndata_root: ~/data\n"
        "source: {archive: $PLACE/a.zip, folder: ~/f.csv, replica: {photos: '${PLACE}/p.csv'}}\n"
        "taxonomy: {crosswalk: ~/walk.csv}\n"
        "training: {weights: ~/mine.safetensors, recipe: $PLACE/recipe.json}\n"
        "registry: {tracking_uri: 'sqlite:///~/runs.db'}\n"
    )
    monkeypatch.setenv("NATUREWATCH_CONFIG", "~/scope.yaml")
    settings = load_settings()
    source, training = settings.source, settings.training
    found = (settings.data_root, source.archive, source.folder, source.replica.photos, settings.taxonomy.crosswalk)
    expected = ("data", "a.zip", "f.csv", "p.csv", "walk.csv", "mine.safetensors", "recipe.json")
    assert list(map(str, (*found, training.weights, training.recipe))) == [str(tmp_path / name) for name in expected]
    assert settings.tracking_uri == f"sqlite:///{tmp_path}/runs.db"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("''", "it is empty; name a path"),
        ("' '", "it is empty"),
        ("$HOEM/data", "the environment has no variable HOEM"),
        ("'${HOEM}/data'", "the environment has no variable HOEM"),
        ("~no-such-user/data", "the home folder of ~no-such-user is not known"),
        ("scope.yaml/data", r"scope\.yaml is no folder"),
        ('"a\\0b"', "cannot hold a NUL"),
        ("", "data_root is empty: it must be a path"),
    ],
)
def test_a_data_root_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=said):
        read(tmp_path, f"name: mine\ndata_root: {path}\n")


def test_the_configuration_is_absolute_for_children_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NATUREWATCH_CONFIG", "mine.yaml")
    assert configuration_file() == tmp_path / "mine.yaml"
    assert configuration_file(Path("other.yaml")) == tmp_path / "other.yaml"


@pytest.mark.parametrize("name", ["", "$HOEM/x.yaml", "~no-such-user/x.yaml", ".", "absent.yaml"])
def test_a_configuration_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NATUREWATCH_CONFIG", name)
    with pytest.raises(ConfigurationError, match=r"NATUREWATCH_CONFIG is|cannot read /"):
        load_settings()
