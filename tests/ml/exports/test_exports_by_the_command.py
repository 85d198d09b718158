"""What `naturewatch identify` answers about real files, exported: the options are a file and a spreadsheet."""

import csv
import json
from pathlib import Path

import pytest

from ml.identify.command import main
from tests.ml.exports.test_camtrap_dp import METADATA, ROW, faults
from tests.ml.exports.test_timelapse import valid
from tests.ml.images.test_capture_time import dated
from tests.ml.specificity_fixtures import release


def identify(folder: Path, *arguments: str) -> int:
    spec, _ = release()
    model = ["--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name, "--alias", "challenger"]
    return main([str(folder), *model, "--no-server", "--threshold", "0", *arguments])


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """A camera's folder: a photograph with a date and one that is none."""
    folder = tmp_path / "photos" / "cam 1"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(dated("JPEG", "2026:11:02 06:07:08"))
    (folder / "b.heic").write_bytes(dated("HEIC", "2026:11:02 06:07:09", "+13:00"))
    (folder / "c.jpg").write_bytes(dated("JPEG", None)[:300])
    with (tmp_path / "cameras.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(ROW))
        table.writeheader()
        table.writerow(ROW)
    options = {"metadata": METADATA, "deployments": "cameras.csv", "timezone": "+13:00"}
    (tmp_path / "options.json").write_text(json.dumps(options))
    return folder


def test_a_camera_s_folder_becomes_a_package_that_validates(camera: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    told = ("--output", str(package), "--as", "camtrap-dp", "--export-options", str(tmp_path / "options.json"))
    assert identify(camera, *told) == 1, "one of the three cannot be read"
    assert faults(package) == []
    with (package / "media.csv").open() as stream:
        assert [(row["filePath"], row["timestamp"], row["fileMediatype"]) for row in csv.DictReader(stream)] == [
            ("photos/cam 1/a.jpg", "2026-11-02T06:07:08+13:00", "image/jpeg"),
            ("photos/cam 1/b.heic", "2026-11-02T06:07:09+13:00", "image/heic"),
        ]
    with (package / "observations.csv").open() as stream:
        assert all(0 < float(row["classificationProbability"]) <= 1 for row in csv.DictReader(stream))
    with (package / "unanswered.csv").open() as stream:
        assert [row["filePath"] for row in csv.DictReader(stream)] == ["photos/cam 1/c.jpg"]


def test_what_a_package_lacks_is_asked_for_before_the_photographs_are(
    camera: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.identify.command.asked_of_network", None)
    package = str(tmp_path / "package")
    assert identify(camera, "--output", package, "--as", "camtrap-dp") == 1
    assert "metadata that only you know" in capsys.readouterr().err
    (tmp_path / "options.json").write_text(json.dumps({"metadata": METADATA}))
    told = ("--export-options", str(tmp_path / "options.json"))
    assert identify(camera, "--output", package, "--as", "camtrap-dp", *told) == 1
    assert "where the cameras stood" in capsys.readouterr().err


def test_it_becomes_results_that_timelapse_finds_and_identifications(camera: Path, tmp_path: Path) -> None:
    results, table = tmp_path / "photos" / "results.json", tmp_path / "identifications.csv"
    assert identify(camera, "--output", str(results), "--as", "timelapse") == 1
    images = valid(json.loads(results.read_text()))["images"]
    assert [image["file"] for image in images] == ["cam 1/a.jpg", "cam 1/b.heic", "cam 1/c.jpg"]
    assert "damaged photograph" in images[2]["failure"]
    assert identify(camera, "--output", str(table), "--as", "darwin-core") == 1
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["identificationVerificationStatus"] for row in rows} == {"PredictedByMachine"}
    assert len(rows) == 2
    assert "damaged photograph" in (tmp_path / "identifications.unanswered.csv").read_text()
