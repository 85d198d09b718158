"""Results name files of their own folder, wherever that is moved or copied to."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from ml.networks.description import NetworkSpec
from ml.spec import RESULT_FILE, CalibrateResult, TrainSpec, WarmStart, warm_start_problem

TRAINING: Final[dict[str, Any]] = {
    "network": "multi_view", "output": Path("out"), "spec_hash": "c0ffee", "split": Path("split.parquet"),
    "taxonomy": Path("taxonomy.parquet"), "photos": Path("index.parquet"), "backbone": "tf_efficientnet_lite0",
    "weights": "none", "recipe": "sample", "seed": 1,
}  # fmt: skip


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


def test_a_training_from_nothing_is_written_as_before_warm_starts() -> None:
    """A specification that was written by an earlier version says the same."""
    spec = TrainSpec(**TRAINING)
    assert "warm_start" not in spec.model_dump_json()
    assert TrainSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_training_goes_on_from_one_network() -> None:
    files = {name: Path(name) for name in ("network", "weights", "taxonomy", "class_map")}
    spec = TrainSpec(**TRAINING, warm_start=WarmStart(**files))
    assert TrainSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValidationError, match="warm_start and parent exclude each other"):
        TrainSpec(**TRAINING, warm_start=WarmStart(**files), parent=Path("result.json"))


def test_whether_a_network_can_be_gone_on_from_is_known_without_torch(tmp_path: Path) -> None:
    trained = NetworkSpec(backbone="tf_efficientnet_lite0", image_size=128, classes=9).write(tmp_path / "network.json")
    assert warm_start_problem(trained, backbone="tf_efficientnet_lite0", image_size=128) == ""
    assert warm_start_problem(trained, backbone="resnet50", image_size=224) == (
        "the trained network has backbone tf_efficientnet_lite0 instead of resnet50, image size 128 instead of 224"
    )
    genus = NetworkSpec(backbone="resnet50", image_size=224, rank="genus").write(tmp_path / "genus.json")
    problem = warm_start_problem(genus, backbone="resnet50", image_size=224)
    assert problem == "the trained network has rank genus instead of species"
    trained.write_text("{")
    assert "network.json does not describe a network: it is cut short" in warm_start_problem(
        trained, backbone="resnet50", image_size=224
    )
