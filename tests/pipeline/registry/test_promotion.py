"""Promotion: one alias, moved as a whole; who moved it and why is written on the version before it is."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow.tracking import MlflowClient

from pipeline.commands import cli
from pipeline.config.settings import Settings
from pipeline.errors import RegistryError
from pipeline.exam.decision import Decision
from pipeline.registry.promotion import champion_of, pinned, promote, promote_challenger
from pipeline.tracking.runs import client
from pipeline.tracking.tags import GATE, PROMOTED_AT, PROMOTED_BY, PROMOTED_WHY, REPLACED

pytestmark = pytest.mark.usefixtures("with_store")


@pytest.fixture
def connected(settings: Settings) -> MlflowClient:
    return client(settings)


@pytest.fixture
def scope_file(settings: Settings, tmp_path: Path) -> Path:
    """The settings as a file."""
    file = tmp_path / "scope.yaml"
    file.write_text(f"name: test\ndata_root: {settings.data_root}\n", encoding="utf-8")
    return file


@pytest.fixture
def register(settings: Settings, connected: MlflowClient) -> Callable[..., str]:
    """Register a version that can be served, as `challenger`, and return its number."""

    def registered(*, gate: str | None = "passed") -> str:
        name = settings.registry.model_name
        if not connected.search_registered_models(f"name = '{name}'"):
            connected.create_registered_model(name)
        number = len(connected.search_model_versions(f"name = '{name}'")) + 1
        folder = settings.paths.mlflow_artifacts / "models" / f"m-{number}" / "artifacts"
        folder.mkdir(parents=True)
        (folder / "MLmodel").touch()
        tags = {} if gate is None else {GATE: gate}
        version = connected.create_model_version(name, source=folder.as_uri(), tags=tags)
        connected.set_registered_model_alias(name, "challenger", version.version)
        return str(version.version)

    return registered


def decision(challenger: str, champion: str | None, *, passed: bool = True) -> Decision:
    return Decision(
        challenger=challenger, champion=champion, exam=1, passed=passed, reasons=("top-1 80.0 %",), target=0.9
    )


def champion(settings: Settings) -> str | None:
    version = champion_of(settings)
    return None if version is None else str(version.version)


def test_the_first_challenger_that_passes_becomes_champion(settings: Settings, register: Callable[..., str]) -> None:
    first = register()
    done = promote_challenger(settings, decision(first, None), by="the gate")
    assert (done.champion, done.replaced, done.promoted) == (first, None, True)
    assert champion(settings) == first


def test_the_version_says_who_promoted_it_when_and_why(
    settings: Settings, connected: MlflowClient, register: Callable[..., str]
) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    second = register()
    promote_challenger(settings, decision(second, first), by="the gate in run 7")
    tags = connected.get_model_version(settings.registry.model_name, second).tags
    assert tags[PROMOTED_AT].startswith("20")
    assert (tags[PROMOTED_BY], tags[PROMOTED_WHY], tags[REPLACED]) == ("the gate in run 7", "top-1 80.0 %", first)


def test_one_that_does_not_pass_leaves_the_champion(settings: Settings, register: Callable[..., str]) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    second = register(gate="refused")
    done = promote_challenger(settings, decision(second, first, passed=False), by="the gate")
    assert not done.promoted
    assert done.reason == f"version {second} does not replace version {first}: top-1 80.0 %"
    assert champion(settings) == first


def test_a_decision_about_other_versions_is_refused(settings: Settings, register: Callable[..., str]) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    second = register()
    for stale in (decision(first, None), decision(second, None), decision("9", first)):
        with pytest.raises(RegistryError, match="materialise exam_answers, then champion"):
            promote_challenger(settings, stale, by="the gate")
    assert champion(settings) == first


def test_without_a_challenger_it_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="no version under the alias challenger; materialise the asset candidate"):
        promote_challenger(settings, decision("1", None), by="the gate")


def test_promoting_again_changes_nothing(settings: Settings, register: Callable[..., str]) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    again = promote_challenger(settings, decision(first, first), by="the gate")
    assert (again.champion, again.promoted) == (first, False)
    assert "already" in again.reason


def test_a_person_goes_back_to_the_version_before_and_forth_again(
    settings: Settings, register: Callable[..., str]
) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    second = register()
    promote_challenger(settings, decision(second, first), by="the gate")
    back = promote(settings, "previous", by="ann", why="it calls kiwis moas")
    assert (back.champion, back.replaced) == (first, second)
    assert champion(settings) == first
    assert promote(settings, "previous", by="ann").champion == second


def test_what_a_person_took_back_is_not_promoted_again_by_a_refresh(
    settings: Settings, register: Callable[..., str]
) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    second = register()
    promote_challenger(settings, decision(second, first), by="the gate")
    promote(settings, "previous", by="ann", why="it calls kiwis moas")
    again = promote_challenger(settings, decision(second, first), by="the gate")
    assert (again.promoted, champion(settings)) == (False, first)
    assert "was taken back by a person (ann: it calls kiwis moas)" in again.reason
    third = register()
    assert promote_challenger(settings, decision(third, first), by="the gate").promoted
    assert promote(settings, second, by="ann", why="it was right").champion == second
    fourth = register()
    assert promote_challenger(settings, decision(fourth, second), by="the gate").champion == fourth


def test_a_version_that_never_passed_needs_a_reason(settings: Settings, register: Callable[..., str]) -> None:
    refused, unjudged = register(gate="refused"), register(gate=None)
    with pytest.raises(RegistryError, match="did not pass the exam; `--force REASON`"):
        promote(settings, refused, by="ann")
    with pytest.raises(RegistryError, match="was never judged on the exam; `--force REASON`"):
        promote(settings, unjudged, by="ann")
    with pytest.raises(RegistryError, match="a reason must have between 1 and"):
        promote(settings, refused, by="ann", force="  ")
    done = promote(settings, refused, by="ann", force="an\nurgent pest")
    assert (done.champion, done.reason) == (refused, "forced: an urgent pest")


def test_a_pinned_champion_stays_until_a_person_moves_it(settings: Settings, register: Callable[..., str]) -> None:
    first = register()
    promote(settings, first, by="ann", pin="the survey runs until June")
    second = register()
    held = promote_challenger(settings, decision(second, first), by="the gate")
    assert (held.promoted, held.champion) == (False, first)
    assert "pinned (the survey runs until June)" in held.reason
    freed = promote(settings, first, by="ann")
    assert (freed.promoted, pinned(settings)) == (False, None)
    assert promote_challenger(settings, decision(second, first), by="the gate").champion == second


def test_a_pin_holds_the_version_that_it_was_made_for(
    settings: Settings, connected: MlflowClient, register: Callable[..., str]
) -> None:
    first, second = register(), register()
    promote(settings, first, by="ann", pin="until June")
    connected.set_registered_model_alias(settings.registry.model_name, "champion", second)
    assert pinned(settings) is None


@pytest.mark.parametrize("force", [None, "I know better"])
def test_a_version_whose_files_are_gone_is_never_promoted(
    settings: Settings, connected: MlflowClient, register: Callable[..., str], force: str | None
) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    second = register()
    uri = connected.get_model_version_download_uri(settings.registry.model_name, second)
    (Path(urlsplit(uri).path) / "MLmodel").unlink()
    with pytest.raises(RegistryError, match="its files are gone: restore"):
        promote(settings, second, by="ann", force=force)
    with pytest.raises(RegistryError, match="its files are gone: restore"):
        promote_challenger(settings, decision(second, first), by="the gate")
    assert champion(settings) == first


def test_what_cannot_be_promoted_is_named(settings: Settings, register: Callable[..., str]) -> None:
    with pytest.raises(RegistryError, match="has no champion yet"):
        promote(settings, "previous", by="ann")
    first = register()
    promote(settings, first, by="ann")
    with pytest.raises(RegistryError, match="has no version 7: it has 1"):
        promote(settings, "7", by="ann")
    with pytest.raises(RegistryError, match="has no version 'best': it has 1"):
        promote(settings, "best", by="ann")
    with pytest.raises(RegistryError, match="does not say which one it replaced"):
        promote(settings, "previous", by="ann")


class Killed(BaseException):
    """Stands for SIGKILL between two writes of the registry."""


@pytest.mark.parametrize("write", range(1, 9))
def test_a_promotion_killed_at_any_write_leaves_one_champion_and_is_completed(
    settings: Settings, register: Callable[..., str], monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    first = register()
    promote_challenger(settings, decision(first, None), by="the gate")
    second = register()
    writes = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal writes
            writes += 1
            if writes == write:
                raise Killed
            return original(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for name in ("set_model_version_tag", "set_registered_model_alias", "set_registered_model_tag"):
            patched.setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
        with contextlib.suppress(Killed):
            promote(settings, second, by="ann", pin="until June")
    assert champion(settings) == (second if writes < write else first)
    assert (pinned(settings) is None) == (champion(settings) == first)
    promote(settings, second, by="ann", pin="until June")
    assert (champion(settings), pinned(settings)) == (second, "until June")
    assert promote(settings, "previous", by="ann").champion == first


def test_the_command_says_what_it_did(
    settings: Settings,
    register: Callable[..., str],
    scope_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = register(), register()
    assert cli.main(["promote", first, "--config", str(scope_file)]) == 0
    assert f"version {first} is the champion now: asked for\nThe next refresh may replace it" in capsys.readouterr().out
    assert cli.main(["promote", second, "--pin", "until June", "--config", str(scope_file)]) == 0
    told = capsys.readouterr().out
    assert f"version {second} is the champion now, in the place of version {first}: pinned: until June" in told
    assert "It is pinned (until June)" in told
    assert cli.main(["promote", "8", "--config", str(scope_file)]) == 1
    assert capsys.readouterr().err == "naturewatch: 'naturewatch' has no version 8: it has 1, 2\n"
    assert champion(settings) == second


def test_without_a_registry_the_command_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NATUREWATCH__DATA_ROOT", str(tmp_path / "none"))
    assert cli.main(["promote", "1"]) == 1
    assert "run `naturewatch run` first" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
