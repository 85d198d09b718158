"""Pictures of one network: its training epoch by epoch, and how often it is right by rank and by class size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.evaluation.drawing import figure_of, legend_outside, percent_axis, short_number, tidy
from ml.evaluation.metrics import SIZE_NAMES, Measured
from ml.evaluation.reliability import clopper_pearson
from ml.palette import BLUE, GREEN, INK, MUTED, SMALL, VERMILION, WIDTH
from ml.spec import SIZE_METRIC, size_title

VALIDATION, TRAINING = "validation", "train"
"""The sides, as `split.parquet` and `metrics.parquet` call them."""

_LOOKS: Final = {TRAINING: (BLUE, "o", "-"), VALIDATION: (VERMILION, "s", "--")}
"""Colour, marker and dash of each side."""


def training_curves(history: Sequence[dict[str, Any]], *, title: str, rank: str, top1: float) -> Figure:
    """Draw loss, accuracy and learning rate over the epochs, and the validation after each where there was one.

    Args:
        history: Rows of `history.parquet`; a `probe` row is drawn at epoch 0, in the accuracies only.
        title: What was trained.
        rank: The rank of the network's classes.
        top1: Validation accuracy at the end, of all photographs.
    """
    figure = figure_of(WIDTH, 6.2, title=title)
    loss, accuracy, rate = figure.subplots(3, 1, height_ratios=(1, 1.25, 0.6), sharex=True)
    steps = [row for row in history if row["phase"] != "probe"]
    probes = [row for row in history if row["phase"] == "probe"]
    looked = [row for row in steps if row.get("validation_loss") is not None]
    # The probe's loss has its own penalty and no label smoothing: beside the others it would mislead.
    _draw_sides(loss, steps, looked, lambda row, side: row[f"{side}_loss"])
    tidy(loss, title="Loss")
    _draw_sides(accuracy, steps, looked, lambda row, side: 100 * row[f"{side}_accuracy"])
    for row in probes:
        accuracy.plot(
            [row["epoch"]], [100 * row["train_accuracy"]], color=GREEN, marker="D", linestyle="none",
            label="training, head on frozen features",
        )  # fmt: skip
    accuracy.axhline(
        100 * top1, color=INK, linewidth=1, linestyle=":", label=f"validation, all, at the end: {top1:.1%}"
    )
    tidy(accuracy, title=f"{rank.capitalize()} accuracy", y="% right")
    shown = [100 * top1, *(100 * row["train_accuracy"] for row in history)]
    percent_axis(accuracy, shown + [100 * row["validation_accuracy"] for row in looked])
    rate.plot([row["epoch"] for row in steps], [row["learning_rate"] for row in steps], color=MUTED, marker="D",
              markersize=4)  # fmt: skip
    rate.set_yscale("log")
    tidy(rate, title="Learning rate at the end of the epoch", x="epoch")
    epochs = sorted({row["epoch"] for row in history})
    rate.set_xticks(sorted({*epochs[:: max(1, len(epochs) // 8)], epochs[-1]}))
    rate.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    legend_outside(figure, accuracy)
    return figure


def accuracy_by_rank(measured: Sequence[Measured], *, title: str) -> Figure:
    """Draw how often the most probable class is right at each rank.

    Args:
        measured: Of the validation side, the accuracy at each rank among them.
        title: What was trained.
    """
    ranks = [one for one in measured if one.metric == "accuracy"]
    figure = figure_of(WIDTH, 1.1 + 0.26 * len(ranks), title=title)
    axes = figure.subplots()
    values = [100 * one.value for one in ranks]
    bars = axes.barh([one.group for one in ranks], values, color=BLUE, height=0.7)
    axes.bar_label(bars, labels=[f"{value:.1f} %" for value in values], padding=4, color=INK, fontsize=SMALL)
    tidy(axes, x=f"% right, of {ranks[0].photos:,} validation photographs", grid=False)
    axes.set(xlim=(0, 118), xticks=range(0, 101, 20))
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return figure


def accuracy_by_class_size(sides: Mapping[str, Sequence[Measured]], *, title: str) -> Figure:
    """Draw accuracy against the number of training photographs of a class, both sides, with 95 % intervals.

    This is the paper's Figure 4, and with the training side its overfitting.

    Args:
        sides: Numbers of `validation` and `train`, accuracy by class size among them.
        title: What was trained.
    """
    bands = {side: {one.group: one for one in rows if one.metric == SIZE_METRIC} for side, rows in sides.items()}
    groups = [name for name in SIZE_NAMES if any(name in found for found in bands.values())]
    figure = figure_of(WIDTH, 3.7, title=title)
    axes = figure.subplots()
    lowest = []
    for shift, side in ((-0.12, TRAINING), (0.12, VALIDATION)):
        present = [(place, bands[side][group]) for place, group in enumerate(groups) if group in bands.get(side, {})]
        if not present:
            continue
        values = 100 * np.array([(one.value, *clopper_pearson(round(one.value * one.photos), one.photos))
                                 for _, one in present])  # fmt: skip
        spread = np.maximum([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]], 0)
        colour, marker, _ = _LOOKS[side]
        axes.errorbar(
            [place + shift for place, _ in present], values[:, 0], yerr=spread, color=colour, marker=marker,
            markersize=5, capsize=3, linestyle="none",
            label={VALIDATION: "validation photographs", TRAINING: "training photographs"}[side],
        )  # fmt: skip
        lowest.append(float(values[:, 1].min()))
    told = bands[VALIDATION]
    names = [f"{size_title(group)}\n{short_number(told[group].photos if group in told else 0)}" for group in groups]
    tidy(axes, x="training photographs of a class\nbelow: validation photographs of such classes", y="% right")
    axes.grid(visible=False, axis="x")
    axes.set_xticks(range(len(groups)), names, fontsize=SMALL)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    percent_axis(axes, lowest)
    legend_outside(figure, axes)
    return figure


def _draw_sides(
    axes: Axes,
    steps: Sequence[dict[str, Any]],
    looked: Sequence[dict[str, Any]],
    value: Callable[[dict[str, Any], str], float],
) -> None:
    """One number over the epochs: of the training side, and of the validation side where it was looked at."""
    for side, rows, label in (
        (TRAINING, steps, "training, augmented, mean of the epoch"),
        (VALIDATION, looked, "validation, half of it, after the epoch"),
    ):
        if rows:
            colour, marker, dash = _LOOKS[side]
            axes.plot(
                [row["epoch"] for row in rows], [value(row, side) for row in rows], color=colour, marker=marker,
                markersize=4.5, linestyle=dash, label=label,
            )  # fmt: skip
