"""The commands that a run prints last go on with what the run has made, never with the sample's."""

import socket
from pathlib import Path

import pytest

from pipeline.commands.cli import _with_registry
from pipeline.commands.summary import command
from pipeline.errors import RegistryError
from pipeline.paths import PROJECT_ROOT

SCOPE = "name: mine\ndata_root: {root}\nregistry: {{model_name: birds}}\n"


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({}, "naturewatch identify"),
        ({"NATUREWATCH_CONFIG": "conf/nz.yaml"}, "naturewatch identify --config conf/nz.yaml"),
        ({"NATUREWATCH_CONFIG": str(Path.cwd() / "conf" / "nz.yaml")}, "naturewatch identify --config conf/nz.yaml"),
        ({"NATUREWATCH_CONFIG": "/etc/birds.yaml"}, "naturewatch identify --config /etc/birds.yaml"),
        ({"NATUREWATCH_CONFIG": str(PROJECT_ROOT / "conf" / "sample.yaml")}, "naturewatch identify"),
        ({"NATUREWATCH_CONFIG": "my conf/a.yaml"}, "naturewatch identify --config 'my conf/a.yaml'"),
        (
            {"NATUREWATCH__DATA_ROOT": "data/mine", "NATUREWATCH__SPLIT__SEED": "1", "HOME": "/home/me"},
            "NATUREWATCH__DATA_ROOT=data/mine naturewatch identify",
        ),
        ({"naturewatch__registry__model_name": "a b"}, "naturewatch__registry__model_name='a b' naturewatch identify"),
    ],
)
def test_a_printed_command_names_the_configuration_of_the_run(environment: dict[str, str], printed: str) -> None:
    assert command("identify", environment=environment) == printed


def test_identify_asks_the_registry_of_the_configuration_that_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SCOPE.format(root=tmp_path / "data"), encoding="utf-8")
    expected = ["--tracking-uri", f"sqlite:///{tmp_path}/data/mlflow.db", "--model-name", "birds"]
    for spelling in (["--config", str(file)], [f"--config={file}"]):
        assert _with_registry(["photo.jpg", *spelling, "--json"]) == [*expected, "photo.jpg", "--json"]


def test_identify_tells_a_registry_that_is_down_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("NATUREWATCH__REGISTRY__TRACKING_URI", address)
    with pytest.raises(RegistryError, match=r"the MLflow server at 127\.0\.0\.1:\d+ cannot be reached") as refused:
        _with_registry(["photo.jpg"])
    assert "secret" not in str(refused.value)
    assert "sqlite:///here" in _with_registry(["--tracking-uri", "sqlite:///here", "photo.jpg"])


def test_help_needs_no_configuration() -> None:
    assert _with_registry(["--help"]) == ["--help"]
