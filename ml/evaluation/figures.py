"""Pictures of a training for people: curves over the epochs, accuracy by rank and class size."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.evaluation.metrics import SIZE_NAMES, Measured
from ml.files import replacing
from ml.spec import SIZE_METRIC, size_title

INK, BLUE, GREEN, ORANGE, GRID = "#1f2933", "#2b6cb0", "#2f855a", "#c05621", "#d9e2ec"


def training_curves(history: Sequence[dict[str, Any]], *, title: str, top1: float, path: Path) -> Path:
    """Draw loss, accuracy and learning rate over the epochs.

    Args:
        history: Rows of `history.parquet`; a `probe` row is drawn at epoch 0, in the accuracies only.
        title: What was trained.
        top1: Validation accuracy at the end, drawn as a line.
        path: The PNG to write.
    """
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    steps = [row for row in history if row["phase"] != "probe"]
    probes = [row for row in history if row["phase"] == "probe"]
    epochs = [row["epoch"] for row in steps]
    # The probe's loss has its own penalty and no label smoothing: beside the others it would mislead.
    loss.plot(epochs, [row["train_loss"] for row in steps], color=BLUE, marker="o")
    _dress(loss, title="Training loss, mean over the epoch", label="cross entropy", epochs=epochs)
    accuracy.plot(
        epochs, [100 * row["train_accuracy"] for row in steps], color=BLUE, marker="o", label="training (augmented)"
    )
    for row in probes:
        accuracy.plot(
            [row["epoch"]], [100 * row["train_accuracy"]], color=ORANGE, marker="D", linestyle="none",
            label="training, head on frozen features",
        )  # fmt: skip
    accuracy.axhline(100 * top1, color=GREEN, linestyle="--", label=f"validation, at the end: {top1:.1%}")
    accuracy.set_ylim(0, 104)
    accuracy.legend(frameon=False, fontsize=8, loc="lower right")
    _dress(accuracy, title="Species accuracy", label="%", epochs=[row["epoch"] for row in probes] + epochs)
    rate.plot(epochs, [row["learning_rate"] for row in steps], color=ORANGE, marker="o")
    rate.set_yscale("log")
    _dress(rate, title="Learning rate at the epoch's end", label="", epochs=epochs)
    figure.suptitle(title, color=INK, fontweight="bold")
    return _save(figure, path)


def accuracy_by_rank(measured: Sequence[Measured], *, title: str, path: Path) -> Path:
    """Draw how often the most probable class is right at each rank.

    Args:
        measured: Of the validation side, the accuracy at each rank among them.
        title: What was trained.
        path: The PNG to write.
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    ranks = [one for one in measured if one.metric == "accuracy"]
    values = [100 * one.value for one in ranks]
    colours = [BLUE] * (len(ranks) - 1) + [GREEN]
    bars = axes.barh([one.group for one in ranks], values, color=colours, height=0.7)
    axes.bar_label(bars, labels=[f"{value:.1f} %" for value in values], padding=4, color=INK)
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(f"% right, of {ranks[0].photos:,} validation photographs", color=INK)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False, colors=INK)
    axes.set_title(title, color=INK, fontweight="bold", loc="left")
    return _save(figure, path)


def accuracy_by_class_size(sides: Mapping[str, Sequence[Measured]], *, title: str, path: Path) -> Path:
    """Draw accuracy against the number of training photographs of a class, both sides (the paper's Figure 4).

    Args:
        sides: Numbers of `validation` and `train`, accuracy by class size among them.
        title: What was trained.
        path: The PNG to write.
    """
    bands = {side: {one.group: one for one in rows if one.metric == SIZE_METRIC} for side, rows in sides.items()}
    groups = [name for name in SIZE_NAMES if any(name in found for found in bands.values())]
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(bands)
    looks = {"validation": (GREEN, "validation photographs"), "train": (GRID, "training photographs")}
    for offset, (side, found) in enumerate(bands.items()):
        present = [(place, found[group]) for place, group in enumerate(groups) if group in found]
        colour, label = looks[side]
        bars = axes.bar(
            [place + (offset - (len(bands) - 1) / 2) * width for place, _ in present],
            [100 * one.value for _, one in present], width=0.92 * width, color=colour, label=label,
        )  # fmt: skip
        axes.bar_label(bars, labels=[f"{100 * one.value:.1f}" for _, one in present], padding=2, color=INK, fontsize=8)
    told = bands["validation"]
    names = [f"{size_title(group)}\n{told[group].photos if group in told else 0:,}" for group in groups]
    axes.set_xticks(range(len(groups)), names)
    axes.set_xlabel("training photographs of a class; below: validation photographs of such classes", color=INK)
    axes.set_ylabel("% right", color=INK)
    axes.set_ylim(0, 118)
    axes.set_yticks(range(0, 101, 20))
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.set_title(title, color=INK, fontweight="bold", loc="left")
    return _save(figure, path)


def _dress(axes: Axes, *, title: str, label: str, epochs: Sequence[int]) -> None:
    axes.set_title(title, color=INK, fontsize=10, loc="left")
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(label, color=INK)
    axes.set_xticks(sorted({*epochs[:: max(1, len(epochs) // 8)], epochs[-1]}))
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)


def _save(figure: Figure, path: Path) -> Path:
    with replacing(path) as partial:
        FigureCanvasAgg(figure).print_figure(partial, format="png", dpi=150, facecolor="white")
    return path
