"""`naturewatch provenance` tells what a version was made from, and says of every gap that it is one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands import cli
from pipeline.config.settings import Settings
from pipeline.provenance.facts import UNKNOWN
from pipeline.tracking.runs import client
from tests.mlflow_stores import mlflow_server
from tests.pipeline.provenance.described import CITATION, DOI, VERSION, dataset
from tests.pipeline.provenance.registered import register, scope_file

pytestmark = pytest.mark.usefixtures("with_store")

SAMPLE = "the embedded sample of NatureWatch: organisms and records drawn in code, nothing of GBIF"


@pytest.fixture
def told(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], dict[str, Any]]:
    """What the command says of a version, as JSON and, under `text`, for people."""

    def ask(version: str) -> dict[str, Any]:
        file = scope_file(settings, tmp_path)
        assert cli.main(["provenance", version, "--json", "--config", str(file)]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert cli.main(["provenance", version, "--config", str(file)]) == 0
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 100
        return answer | {"text": " ".join(text.split())}

    return ask


def test_a_version_of_gbif_tells_all_that_it_was_made_from(
    settings: Settings, told: Callable[[str], dict[str, Any]]
) -> None:
    register(
        settings, dataset(settings), naturewatch__gate="passed", naturewatch__gate_reasons="top-1 +1.0",
        naturewatch__exam="2", naturewatch__promoted_at="2026-05-03T00:00:00+00:00", naturewatch__promoted_by="me@here",
        naturewatch__promoted_why="it is better", naturewatch__how="adopted",
    )  # fmt: skip
    found = told("1")
    source, data = found["source"], found["dataset"]
    assert (source["doi"], source["citation"]) == (DOI, CITATION)
    assert (source["download_key"], source["downloaded"][:10]) == ("0000001-260501000000000", "2026-05-01")
    assert source["derived_dataset"] is None
    assert "not registered (`naturewatch derived-dataset` does)" in found["text"]
    assert found["licences"] == {"CC-BY-NC": 3, "CC0": 1, "all rights reserved": 1}
    assert (data["version"], data["species"], data["train"], data["validation"]) == (VERSION, 2, 3, 1)
    assert (data["split_unit"], data["split_seed"], data["split_min_images"]) == ("observation", "2017", "5")
    assert found["exam"] == {"gate": "passed", "version": "2", "reasons": "top-1 +1.0"}
    assert found["promotion"]["by"] == "me@here"
    assert (found["training"]["seed"], found["training"]["hardware"]) == (2017, "a GPU")
    assert "time 2 h 10 min" in found["text"]
    assert found["training"]["why"] == "the best of the comparison"
    assert found["code"]["commit"] == "9" * 40
    assert {"python", "torch", "timm"} <= found["code"]["environment"].keys()
    assert found["code"]["configuration"]["split"]["unit"] == "observation"
    (training,) = found["ancestry"]["trainings"]
    assert (training["dataset"], training["how"]) == (VERSION, "adopted")
    assert "replaced none: it was the first" in found["text"]


def test_a_version_whose_files_are_with_a_server_is_told_as_well(
    make_settings: Callable[..., Settings], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(registry={"tracking_uri": mlflow_server(), "model_name": "told", "experiment": "told"})
    register(settings, dataset(settings), naturewatch__how="adopted")
    file = scope_file(settings, tmp_path)
    assert cli.main(["provenance", "1", "--json", "--config", str(file)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"]["citation"] == CITATION
    assert found["training"]["why"] == "the best of the comparison"
    assert found["code"]["configuration"]["split"]["unit"] == "observation"
    assert {"python", "torch", "timm"} <= found["code"]["environment"].keys()


def test_a_version_of_earlier_code_says_what_was_not_recorded(
    settings: Settings, told: Callable[[str], dict[str, Any]]
) -> None:
    register(settings, dataset(settings), earlier=True)
    client(settings).set_registered_model_alias(settings.registry.model_name, "champion", "1")
    found = told("champion")
    assert found["source"]["citation"] == CITATION, "the data root keeps the manifest"
    assert found["code"]["environment"] == {"mlflow": "3.17.2", "timm": "1.0.31", "torch": "2.14.1"}
    gaps = [
        ("training", "seed"), ("source", "mode"), ("source", "snapshot"), ("dataset", "split_unit"),
        ("promotion", "promoted"), ("code", "configuration"),
    ]  # fmt: skip
    for section, fact in gaps:
        assert found[section][fact] is None, fact
    assert found["text"].count(UNKNOWN) >= 6
    assert "never judged on an exam" in found["text"]


def test_a_version_without_its_dataset_and_files_is_still_told(
    settings: Settings, told: Callable[[str], dict[str, Any]]
) -> None:
    """As where only the registry was kept."""
    register(settings, dataset(settings), earlier=True)
    for folder in (settings.paths.dataset_version(VERSION), settings.paths.mlflow_artifacts / "models"):
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    found = told("1")
    assert (found["model"]["files"], found["source"]["doi"]) == ("gone", DOI)
    assert found["licences"] == {"photographs": None}
    assert found["dataset"]["species"] is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            {"mode": "folder", "key": "folder-1", "origin": "own photographs listed in mine.csv (SHA-256 abc)"},
            "There is no citation of GBIF: own photographs listed in mine.csv (SHA-256 abc).",
        ),
        (
            {"mode": "replica", "key": "k", "doi": "10.21373/dl.x", "citation": CITATION, "origin": SAMPLE},
            f"Not citable: {SAMPLE}. The DOI 10.21373/dl.x was made up and resolves to nothing.",
        ),
        (
            {"mode": "search", "key": "search-1-20260501", "origin": "a search of GBIF, which has no DOI"},
            "Not citable: a search of GBIF, which has no DOI.",
        ),
        ({"mode": "archive", "key": "k", "doi": DOI, "citation": CITATION}, CITATION),
    ],
)
def test_what_has_no_citation_says_so(
    settings: Settings, told: Callable[[str], dict[str, Any]], source: dict[str, Any], said: str
) -> None:
    register(settings, dataset(settings, **source), earlier=source["mode"] in {"folder", "search"})
    found = told("1")
    assert said in found["text"]
    assert (found["source"]["citation"] is None) == (said != CITATION)
    if source["mode"] == "folder":
        assert found["text"].count("none: own photographs, which GBIF does not know") == 3


def test_the_line_of_versions_leads_back_to_the_training_from_nothing(
    settings: Settings, told: Callable[[str], dict[str, Any]]
) -> None:
    first = dataset(settings)
    register(settings, first, naturewatch__how="full")
    register(settings, dataset(settings, version="1" * 16), naturewatch__how="continued", naturewatch__ancestor="1")
    register(settings, dataset(settings, version="2" * 16), naturewatch__how="continued", naturewatch__ancestor="2")
    found = told("3")
    trainings = found["ancestry"]["trainings"]
    assert [(each["version"], each["dataset"], each["how"]) for each in trainings] == [
        ("3", "2" * 16, "continued"), ("2", "1" * 16, "continued"), ("1", VERSION, "full"),
    ]  # fmt: skip
    assert "went on from version 2" in found["text"]
    client(settings).delete_model_version(settings.registry.model_name, "1")
    lost = told("3")
    assert lost["ancestry"]["trainings"][-1] == {"version": "1", "registered": None, "dataset": None, "how": None}
    assert "version 1: no longer in the registry" in lost["text"]


def test_a_version_that_is_not_there_is_told(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(settings, dataset(settings))
    assert cli.main(["provenance", "7", "--config", str(scope_file(settings, tmp_path))]) == 1
    assert "has no version 7: it has 1" in capsys.readouterr().err
