"""Each scope has a Dagster instance of its own, unless a person names one."""

import os
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from pipeline.commands.dagster_home import prepare_dagster_home
from pipeline.config.settings import Settings
from pipeline.errors import ConfigurationError
from pipeline.paths import PROJECT_ROOT, Paths

Make = Callable[..., Settings]


@pytest.fixture(autouse=True)
def _none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set first, so that what the code sets in the environment is taken back after the test.
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_HOME")


@dg.asset
def anything() -> dg.MaterializeResult[None]:
    """The same asset in every scope."""
    return dg.MaterializeResult(data_version=dg.DataVersion("1"))


def prepare(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As a command does that is started anew."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return prepare_dagster_home(settings.paths)


def test_what_one_scope_materialised_is_not_the_history_of_another(
    make_settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, nz = (make_settings(name=name, data_root=tmp_path / name) for name in ("sample", "nz"))
    assert prepare(sample, monkeypatch) == tmp_path / "sample" / "dagster"
    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([anything], instance=instance).success
    prepare(nz, monkeypatch)
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs() == []
        assert instance.get_latest_materialization_event(dg.AssetKey("anything")) is None
    prepare(sample, monkeypatch)
    with dg.DagsterInstance.get() as instance:
        assert len(instance.get_runs()) == 1
        assert instance.get_latest_materialization_event(dg.AssetKey("anything")) is not None


def test_it_is_configured_as_the_checkout_says_now(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = (PROJECT_ROOT / "dagster_home" / "dagster.yaml").read_bytes()
    copy = prepare(settings, monkeypatch) / "dagster.yaml"
    assert copy.read_bytes() == ours
    written = copy.stat().st_mtime_ns
    prepare(settings, monkeypatch)
    assert copy.stat().st_mtime_ns == written, "it is not written again"
    copy.write_text("telemetry: {enabled: true}")
    prepare(settings, monkeypatch)
    assert copy.read_bytes() == ours


def test_a_folder_that_a_person_names_is_used_as_it_is(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "mine"))
    assert prepare_dagster_home(settings.paths) == tmp_path / "mine"
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []
    assert not settings.paths.dagster_home.exists()


def test_a_named_home_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "~/deep/home")
    assert prepare_dagster_home(Paths(data_root=tmp_path / "data")) == tmp_path / "deep" / "home"
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "deep" / "home")
    assert (tmp_path / "deep" / "home").is_dir()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "it is empty"),
        ("home", "it must be absolute, as /"),
        ("{folder}/file", "a file is in its place"),
        ("{folder}/file/home", "a file is in its place"),
        ("/proc/home", "cannot be made: No such file"),
        ("/proc/self", "cannot be written to"),
    ],
)
def test_a_home_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGSTER_HOME", value.format(folder=tmp_path))
    with pytest.raises(ConfigurationError, match=said):
        prepare_dagster_home(Paths(data_root=tmp_path / "data"))
