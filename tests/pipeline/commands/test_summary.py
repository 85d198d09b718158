"""What ends a run: what it made, with units, and commands that go on with it, never with the sample's."""

import io
import json
import re
import shutil
import socket
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from rich.console import Console

from pipeline.commands.cli import _with_registry
from pipeline.commands.summary import called, command, print_summary
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import RegistryError
from pipeline.exam.decision import Decision
from pipeline.files import write_json
from pipeline.launching.specs import train_hash
from pipeline.paths import PROJECT_ROOT
from pipeline.production.production_specs import calibration_folder
from pipeline.registry.promotion import CHAMPION
from pipeline.rejections import write_rejections
from pipeline.tracking.runs import client, experiment_id
from pipeline.tracking.tags import HOW, TRAINING
from tests.pipeline.trained import adopted, dataset, train_all

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
    expected += ["--running", f"{tmp_path}/data/page.json"]
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


def printed(settings: Settings, *assets: str, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_summary(settings, assets=assets, seconds=191.0, console=console)
    return cast("io.StringIO", console.file).getvalue()


@pytest.fixture
def finished(settings: Settings) -> Settings:
    """A dataset, and two networks with their calibrations."""
    manifest = dataset(settings.paths)
    holds = dict.fromkeys(("occurrences", "clean_occurrences", "photo_index", "photos_ok", "split"), 1177)
    manifest = manifest.model_copy(update={"counts": {**manifest.counts, **holds}})
    write_json(settings.paths.dataset_manifest, manifest.model_dump(mode="json"))
    lines = {"key": ["1", "2"], "rule": ["above_species", "above_species"], "detail": ["", ""]}
    write_rejections(settings.paths, "clean_occurrences", pa.table(lines))
    train_all(settings, manifest, {"baseline": 1.0, "multi_view": 2.0})
    return settings


def champion(settings: Settings, *, network: str, data: str, **more: str) -> None:
    connected, name = client(settings), settings.registry.model_name
    run = connected.create_run(experiment_id(settings, connected))
    connected.create_registered_model(name)
    tags = {"naturewatch.network": network, "naturewatch.data_version": data, **more}
    version = connected.create_model_version(name, source=f"runs:/{run.info.run_id}/model", tags=tags)
    connected.set_registered_model_alias(name, CHAMPION, version.version)


def test_a_run_that_made_no_dataset_and_no_network_prints_no_table(settings: Settings) -> None:
    said = printed(settings, "gbif_download", "occurrences")
    assert said.split() == ["Done", "in", "3:11.", "tables", str(settings.paths.tables), "open", *said.split()[6:]]
    assert "identify" not in said


def test_a_run_of_the_dataset_prints_no_table_of_networks(finished: Settings) -> None:
    said = printed(finished, "species", "manifest")
    assert "Dataset v1" in said
    assert "Networks" not in said
    assert "Champion" not in said


def test_counts_have_units_and_rules_are_words(finished: Settings) -> None:
    said = printed(finished, "manifest")
    assert re.search(r"clean_occurrences +1,177 records +above species 2", said)
    assert re.search(r"photo_index +1,177 photographs", said)
    assert re.search(r"species +4 species", said)


def test_only_networks_of_this_run_are_told(finished: Settings) -> None:
    said = printed(finished, "multi_view", "specificity_multi_view")
    assert re.search(r"multi_view +\d+\.\d% +\d+\.\d% +\d+\.\d% +\d+\.\d% to \d+\.\d% +\d\.\d\d", said)
    assert "baseline" not in said


@pytest.mark.usefixtures("with_store")
def test_the_champion_comes_with_its_promise_and_three_answers(finished: Settings) -> None:
    champion(finished, network="multi_view", data="v1")
    said = printed(finished, "champion")
    assert "Champion: naturewatch version 1, the network multi_view" in said
    assert re.search(r"Asked to be right in 90%, it was in \d+\.\d% \(95% interval \d+\.\d% to \d+\.\d%\)", said)
    assert re.search(r"of 120 photographs that decided nothing before, at a mean depth of\n +\d\.\d of 7 ranks", said)
    assert len(re.findall(r"[✓✗] .+  it is ", said)) == 3
    assert "identify" in said


@pytest.mark.usefixtures("with_store")
def test_a_champion_of_an_older_dataset_promises_nothing_about_this_one(finished: Settings) -> None:
    champion(finished, network="multi_view", data="older")
    said = printed(finished, "champion")
    assert "It was trained on dataset older, and the present one is v1" in said
    assert "Asked to be right" not in said


@pytest.mark.usefixtures("with_store")
def test_the_champion_that_went_on_from_another_comes_with_its_own_promise(finished: Settings) -> None:
    manifest = DatasetManifest.read(finished.paths)
    there = calibration_folder(
        finished, network="multi_view", training=train_hash(finished, manifest, network="multi_view"), how="adopted"
    )
    own = calibration_folder(finished, network="multi_view", training="t9", how="continued")
    shutil.copytree(there, own)
    result = json.loads((own / "result.json").read_text())
    (own / "result.json").write_text(json.dumps({**result, "evaluation_accuracy": 0.987}))
    champion(finished, network="multi_view", data="v1", **{TRAINING: "t9", HOW: "continued"})
    assert "it was in 98.7%" in printed(finished, "champion")


def test_a_refresh_says_how_the_network_came_about(finished: Settings) -> None:
    manifest = DatasetManifest.read(finished.paths)
    record = adopted(finished, manifest, network="multi_view")
    reason = "training goes on from version 3, the champion: training photographs have grown by 8%"
    record.model_copy(update={"ancestor": "3", "reason": reason, "how": "continued"}).write(finished.paths)
    said = printed(finished, "production", width=200)
    assert "Production: the network multi_view, continued from version 3" in said
    assert re.search(r"  60 steps; species right in \d+\.\d% of its validation photographs\n", said)
    assert f"  {reason}\n" in said


@pytest.mark.parametrize(("passed", "verdict"), [(True, "passed"), (False, "was refused")])
def test_a_refresh_shows_what_the_gate_said_with_its_intervals(
    settings: Settings, *, passed: bool, verdict: str
) -> None:
    reasons = ("top-1: 71.2 % against 70.9 %, change +0.3 points (-0.8 to +1.4)", "depth: 5.1 against 5.0")
    write_decision(settings, passed=passed, champion="3", reasons=reasons)
    said = printed(settings, "exam_answers", width=200)
    assert f"Gate: version 4 {verdict} against version 3, on version 2 of the exam" in said
    for reason in reasons:
        assert f"  {reason}\n" in said
    write_decision(settings, passed=passed, champion=None, reasons=reasons)
    assert f"version 4 {verdict} as the first version" in printed(settings, "exam_answers", width=200)


def write_decision(settings: Settings, *, passed: bool, champion: str | None, reasons: tuple[str, ...]) -> None:
    Decision(
        challenger="4", champion=champion, exam=2, passed=passed, reasons=reasons, target=0.9
    ).write(settings.paths)  # fmt: skip


def test_pages_that_this_run_made_are_links(finished: Settings) -> None:
    page = finished.paths.reports / "dataset" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>", encoding="utf-8")
    assert page.as_uri() in printed(finished, "dataset_page", width=300)
    assert page.as_uri() not in printed(finished, "species", width=300)


def test_the_command_is_called_as_the_shell_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "naturewatch"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(program.with_name("python")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert called() == "bin/naturewatch"
    monkeypatch.setenv("PATH", str(program.parent))
    assert called() == "naturewatch"
