"""Accuracies by hand on six answers, and pictures that are pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.data import Photos
from ml.evaluate import Evaluation, metrics, write_predictions
from ml.figures import accuracy_by_rank, training_curves
from ml.taxonomy import Taxonomy
from tests.ml.world import World


@pytest.fixture
def answers() -> Evaluation:
    truth = np.array([0, 0, 0, 1, 1, 2])
    photos = Photos(photo_ids=list("abcdef"), labels=truth, halves=["calibration", "evaluation"] * 3, rows=np.arange(6))
    return Evaluation(
        photos=photos, predicted=np.array([0, 0, 0, 1, 2, 1]), in_top=np.array([True] * 5 + [False]), unreadable=2
    )


def test_accuracies(world: World, answers: Evaluation) -> None:
    found = metrics(answers, lineages=Taxonomy.read(world.taxonomy).ancestors, train_labels=np.array([0] * 10 + [1, 2]))
    assert found["top1"] == pytest.approx(4 / 6)
    assert found["top5"] == pytest.approx(5 / 6)
    assert found["macro_top1"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert found["accuracy_species"] == found["top1"]
    assert found["accuracy_genus"] == found["accuracy_kingdom"] == 1.0
    assert found["top1_classes_of_10_to_19"] == 1.0
    assert found["top1_classes_of_1_to_9"] == pytest.approx(1 / 3)
    assert "top1_classes_of_50_up" not in found
    assert found["unreadable_photos"] == 2


def test_pictures(world: World, answers: Evaluation, tmp_path: Path) -> None:
    found = metrics(answers, lineages=Taxonomy.read(world.taxonomy).ancestors, train_labels=np.array([0, 1, 2]))
    row = {"phase": "train", "epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "learning_rate": 0.01}
    history = [row | {"phase": "probe", "epoch": 0, "learning_rate": 0.0}, row, row | {"epoch": 2}]
    for path in (
        training_curves(history, title="baseline", top1=0.5, path=tmp_path / "curves.png"),
        accuracy_by_rank(found, title="baseline", path=tmp_path / "ranks.png"),
    ):
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width > 900
    assert write_predictions(answers, tmp_path / "validation.parquet").exists()
