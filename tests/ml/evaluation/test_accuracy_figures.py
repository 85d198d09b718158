"""The pictures of a network can be read, whatever it learnt."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ml.evaluation.accuracy_figures import accuracy_by_class_size, accuracy_by_rank, training_curves
from ml.evaluation.metrics import SIZE_NAMES, Measured
from ml.evaluation.reliability import clopper_pearson
from ml.spec import RANKS, SIZE_METRIC
from tests.pictures import blemishes

TITLE = "knowledge_transfer: convnextv2_huge.fcmae_ft_in22k_in1k_512"


def epoch(number: int, *, validated: bool = True, **others: float | str) -> dict[str, Any]:
    """A row of `history.parquet`."""
    validation = {"validation_loss": 2.0, "validation_accuracy": 0.9} if validated else {}
    return {
        "phase": "train", "epoch": number, "train_loss": 1.0, "train_accuracy": 0.95, "learning_rate": 0.1**number,
        **validation, **others,
    }  # fmt: skip


def sized(value: float, photos: int, groups: tuple[str, ...] = SIZE_NAMES) -> list[Measured]:
    """The same accuracy for all class sizes."""
    return [Measured(metric=SIZE_METRIC, group=group, value=value, photos=photos) for group in groups]


def by_size(validation: list[Measured], train: list[Measured]) -> Figure:
    return accuracy_by_class_size({"validation": validation, "train": train}, title=TITLE)


PROBE = epoch(0, validated=False, phase="probe", train_accuracy=0.2)
RIGHT = [Measured(metric="accuracy", group=rank, value=1.0, photos=123_456_789) for rank in RANKS]
PICTURES: dict[str, Callable[[], Figure]] = {
    "one epoch": lambda: training_curves([epoch(1, validated=False)], title="x", rank="genus", top1=0.0),
    "forty epochs": lambda: training_curves([PROBE, *map(epoch, range(1, 41))], title=TITLE, rank="species", top1=1.0),
    "no loss left": lambda: training_curves([epoch(1, train_loss=0.0)], title=TITLE, rank="species", top1=1.0),
    "all right": lambda: accuracy_by_rank(RIGHT, title=TITLE),
    "genera": lambda: accuracy_by_rank(RIGHT[:-1], title="genus_stage: right by rank"),
    "many photographs": lambda: by_size(sized(1.0, 10**7), sized(1.0, 10**8)),
    "one photograph": lambda: by_size(sized(0.0, 1, SIZE_NAMES[-1:]), []),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_can_be_read(name: str) -> None:
    assert blemishes(PICTURES[name]()) == []


def test_the_curves_name_the_rank_that_is_learnt_and_show_both_sides() -> None:
    loss, accuracy, rate = PICTURES["one epoch"]().axes
    assert accuracy.get_title(loc="left") == "Genus accuracy"
    assert [line.get_label() for line in loss.lines] == ["training, augmented, mean of the epoch"]
    loss, accuracy, rate = PICTURES["forty epochs"]().axes
    assert accuracy.get_title(loc="left") == "Species accuracy"
    for axes in (loss, accuracy):
        sides = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 40]
        assert len({(line.get_marker(), line.get_color()) for line in sides}) == 2
        assert len({line.get_linestyle() for line in sides}) == 2
    assert rate.get_yscale() == "log"


def test_accuracies_near_one_have_an_axis_that_shows_them() -> None:
    history = [epoch(number, train_accuracy=0.97 + number / 1000, validation_accuracy=0.96) for number in (1, 2, 3)]
    accuracy = training_curves(history, title="x", rank="species", top1=0.965).axes[1]
    assert 85 <= accuracy.get_ylim()[0] < 96
    assert PICTURES["one epoch"]().axes[1].get_ylim()[0] < 0


def test_both_sides_of_a_class_size_have_the_exact_interval() -> None:
    figure = by_size(sized(0.5, 20), sized(0.75, 40))
    for container, (right, photos) in zip(figure.axes[0].containers, ((30, 40), (10, 20)), strict=True):
        (bars,) = container.lines[2]  # type: ignore[attr-defined]
        segment = np.asarray(bars.get_segments()[0])
        assert segment[:, 1] == pytest.approx([100 * end for end in clopper_pearson(right, photos)])
