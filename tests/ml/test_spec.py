"""Results name files of their own folder, wherever that is moved or copied to."""

import json
import shutil
from pathlib import Path

import pytest

from ml.spec import RESULT_FILE, CalibrateResult


def result(folder: Path) -> CalibrateResult:
    files = {name: folder / f"{name}.parquet" for name in ("curve", "thresholds", "by_target")}
    numbers = (
        "threshold", "calibration_accuracy", "calibration_depth", "evaluation_accuracy", "evaluation_accuracy_low",
        "evaluation_accuracy_high", "evaluation_depth", "abstention_rate", "calibration_error",
    )  # fmt: skip
    return CalibrateResult(
        mlflow_run_id="r", target=0.9, calibration_photos=1, evaluation_photos=1, points=(), **files,
        report=folder / "report.md", figures={"Depth": folder / "figures" / "depth.png"},
        **dict.fromkeys(numbers, 0.5),
    )  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "evaluation" / "c0ffee"
    (folder / "figures").mkdir(parents=True)
    for name in ("curve.parquet", "thresholds.parquet", "by_target.parquet", "report.md", "figures/depth.png"):
        (folder / name).touch()
    result(folder).write(folder / RESULT_FILE)
    return folder


def test_a_document_says_nothing_of_where_it_was_written(written: Path, tmp_path: Path) -> None:
    assert str(tmp_path) not in (written / RESULT_FILE).read_text(encoding="utf-8")
    assert CalibrateResult.read(written / RESULT_FILE) == result(written)


def test_a_copy_leads_into_its_own_folder(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "evaluation" / "c0ffee"
    shutil.copytree(written, copy)
    assert CalibrateResult.read(copy / RESULT_FILE) == result(copy)


def test_a_copy_of_an_earlier_versions_document_does_so_too(written: Path, tmp_path: Path) -> None:
    """It has absolute paths."""
    (written / RESULT_FILE).write_text(json.dumps(result(written).model_dump(mode="json")), encoding="utf-8")
    assert CalibrateResult.read(written / RESULT_FILE) == result(written)
    copy = tmp_path / "copy" / "evaluation" / "c0ffee"
    shutil.copytree(written, copy)
    assert CalibrateResult.read(copy / RESULT_FILE) == result(copy)
