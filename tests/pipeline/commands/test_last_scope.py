"""The scope of the last run in a folder: what a command is about that is told no scope."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.commands.cli import _settings, main
from pipeline.commands.last_scope import RECORD, deciding_variables, recall, remember
from pipeline.config.settings import Settings
from pipeline.errors import ConfigurationError
from pipeline.paths import PROJECT_ROOT
from pipeline.project_folder import SAMPLE

Scope = Callable[[str], Path]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which nothing ran yet."""
    monkeypatch.delenv("NATUREWATCH_LAST_SCOPE")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scope(folder: Path) -> Scope:
    """Makes the file of a scope with its own data."""

    def make(name: str) -> Path:
        file = folder / f"{name}.yaml"
        file.write_text(f"name: {name}\ndata_root: data/{name}\n", encoding="utf-8")
        return file

    return make


def asked_about(*, goes_on: bool = False) -> Settings:
    """What a command is about that is given neither `--config` nor NATUREWATCH_CONFIG."""
    os.environ.pop("NATUREWATCH_CONFIG", None)
    return _settings(None, goes_on=goes_on)


def test_where_nothing_ran_it_is_the_sample(capfd: pytest.CaptureFixture[str]) -> None:
    assert asked_about().name == "sample"
    assert capfd.readouterr().err == ""


def test_it_is_that_of_the_last_run_in_this_folder_and_said_in_one_line(
    scope: Scope, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    remember(scope("moa"))
    remember(scope("kea"))
    for goes_on in (False, True):
        assert asked_about(goes_on=goes_on).name == "kea"
        assert capfd.readouterr().err == (
            "naturewatch: the scope is that of the last run here, kea.yaml; --config names another\n"
        )
    remember(PROJECT_ROOT / SAMPLE)
    assert asked_about().name == "sample"
    assert capfd.readouterr().err == ""
    (folder / "elsewhere").mkdir()
    remember(scope("kea"))
    monkeypatch.chdir(folder / "elsewhere")
    assert asked_about().name == "sample"


def test_a_scope_that_is_named_comes_first(
    scope: Scope, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    remember(scope("kea"))
    assert _settings(scope("moa")).name == "moa"
    monkeypatch.setenv("NATUREWATCH_CONFIG", str(scope("weka")))
    assert recall(goes_on=False) is None
    monkeypatch.delenv("NATUREWATCH_CONFIG")
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", "data/other")
    assert recall(goes_on=False) is None
    assert capfd.readouterr().err == ""


def test_variables_that_decided_where_the_results_are_count_again(
    scope: Scope, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As for one's own photographs, whose scope is the sample's file with other variables."""
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", "data/mine")
    monkeypatch.setenv("NATUREWATCH__NAME", "mine")
    monkeypatch.setenv("NATUREWATCH__SPLIT__SEED", "5")
    remember(PROJECT_ROOT / SAMPLE)
    for name in ("DATA_ROOT", "NAME", "SPLIT__SEED"):
        monkeypatch.delenv(f"NATUREWATCH__{name}")
    with pytest.raises(ConfigurationError, match="told its scope by NATUREWATCH__DATA_ROOT, NATUREWATCH__NAME: set"):
        asked_about(goes_on=True)
    found = asked_about()
    assert (found.name, found.data_root) == ("mine", Path("data/mine"))
    assert "conf/sample.yaml with NATUREWATCH__DATA_ROOT, NATUREWATCH__NAME" in capfd.readouterr().err
    monkeypatch.setenv("NATUREWATCH__NAME", "yours")
    assert recall(goes_on=False) is None


def test_a_file_that_is_gone_is_told_with_what_to_do(scope: Scope) -> None:
    file = scope("kea")
    remember(file)
    file.unlink()
    for goes_on in (False, True):
        with pytest.raises(ConfigurationError, match=rf"{file}, which is gone: name a scope with --config, or remove"):
            asked_about(goes_on=goes_on)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"config": 1, "variables": {}}', '{"config": "a"}', "\x00"])
def test_a_damaged_record_is_told(content: str) -> None:
    RECORD.parent.mkdir()
    RECORD.write_text(content)
    with pytest.raises(ConfigurationError, match=r"last_scope\.json.* cannot be read: remove it"):
        asked_about()


def test_the_record_holds_only_what_decides_and_nobody_else_may_read_it(
    scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATUREWATCH__REGISTRY__TRACKING_URI", "http://kea:secret@registry")
    monkeypatch.setenv("NATUREWATCH__ALERTS__WEBHOOK", "secret")
    remember(scope("kea"))
    assert json.loads(RECORD.read_text()) == {
        "config": str(scope("kea")),
        "variables": {"NATUREWATCH__REGISTRY__TRACKING_URI": "http://kea:secret@registry"},
    }
    assert RECORD.stat().st_mode & 0o777 == 0o600
    # A record that somebody wrote sets nothing else.
    assert deciding_variables({"LD_PRELOAD": "x", "naturewatch__name": "a"}) == {"naturewatch__name": "a"}


def test_another_file_or_none_may_remember(
    scope: Scope, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NATUREWATCH_LAST_SCOPE", "")
    remember(scope("kea"))
    assert not RECORD.exists()
    assert asked_about().name == "sample"
    monkeypatch.setenv("NATUREWATCH_LAST_SCOPE", str(folder / "state" / "scope.json"))
    remember(scope("kea"))
    assert asked_about().name == "kea"
    assert not RECORD.exists()
    # A run can do without, and says so.
    monkeypatch.setenv("NATUREWATCH_LAST_SCOPE", str(scope("kea") / "scope.json"))
    capfd.readouterr()
    remember(scope("moa"))
    assert "is not remembered" in capfd.readouterr().err


def test_commands_that_ask_are_about_the_last_run(
    scope: Scope, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    remember(scope("kea"))
    for command in (["promote", "previous"], ["provenance", "1"]):
        monkeypatch.delenv("NATUREWATCH_CONFIG", raising=False)
        assert main(command) == 1
        said = capfd.readouterr().err
        assert "that of the last run here, kea.yaml" in said
        assert str(folder / "data" / "kea" / "mlflow.db") in said
