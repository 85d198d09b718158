"""A trained network on both sides of the split: answers, numbers, confused taxa and pictures, as files."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ml.child.pipes import Reporter
from ml.devices import Device
from ml.evaluation.class_sums import ClassSums
from ml.evaluation.drawing import figure_of, save, tidy
from ml.evaluation.evaluation_text import evaluation_text
from ml.evaluation.metrics import SIZE_NAMES, Measured, confused_pairs, flat, measure, write_metrics, write_pairs
from ml.evaluation.predict import Evaluation, predict
from ml.files import replacing
from ml.images.loader import Loader
from ml.images.pack import Photos
from ml.networks.embeddings import Embeddings
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network
from ml.palette import BLUE, GREEN, GRID, INK, VERMILION
from ml.spec import RANKS, SIZE_METRIC, size_title
from ml.taxonomy import Taxonomy

TRAIN_PHOTOS = 100_000
"""Training photographs that are also evaluated (the paper's overfitting column): all, or so many drawn by the seed."""
VALIDATION, TRAINING = "validation", "train"
"""The sides, as `split.parquet` and `metrics.parquet` call them."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What the evaluation of one stage left in its folder."""

    numbers: dict[str, float]
    """By their names in `ml.evaluation.metrics`; those of the training side begin with `train_`."""
    predictions: Path
    """`validation.parquet`."""
    train_predictions: Path
    """`train.parquet`."""
    metrics_table: Path
    """`metrics.parquet`."""
    confusions: Path
    """`confusions.parquet`."""
    text: Path
    """`evaluation.md`: the numbers and the confused pairs, in words."""
    figures: dict[str, Path]
    """PNG pictures by title."""
    prototypes: Path | None
    """`prototypes.safetensors`, of species."""


def assess(
    network: Network,
    *,
    validation: Photos,
    train: Photos,
    taxonomy: Taxonomy,
    seed: int,
    title: str,
    output: Path,
    loader: Loader | FrozenLayers | Embeddings,
    device: Device,
    reporter: Reporter,
    stop: threading.Event,
) -> Assessment | None:
    """Evaluate `network` on both sides. Every process of the group must call this; the first one writes.

    Args:
        network: The trained network; `network.spec` says what its classes are.
        validation: All of the validation side, labelled by the network's classes.
        train: All of the training side, labelled by the network's classes.
        taxonomy: The tree.
        seed: Draws the training photographs where there are more than `TRAIN_PHOTOS`.
        title: Heads the pictures.
        output: The folder for the files.
        loader: Gives photographs as the network takes them, or the features of its frozen layers.
        device: Where to compute.
        reporter: Hears of progress and unreadable photographs.
        stop: Set to end early.

    Returns:
        What is in the folder, on the first process; None on the others.

    Raises:
        InterruptedTrainingError: `stop` was set.
        DataError: none of the photographs of a side can be decoded.
    """
    sides: dict[str, Evaluation] = {}
    species = network.spec.rank == "species"
    sums = ClassSums(network.head.out_features)
    for side, photos in ((VALIDATION, validation), (TRAINING, sample(train, seed=seed))):
        found = predict(
            network, photos=photos, loader=loader, device=device, reporter=reporter, stop=stop,
            title=f"{side} photographs", output=output / f"{side}.parquet", distributions=side == VALIDATION,
            embeddings=species and side == VALIDATION, sums=sums if species and side == TRAINING else None,
        )  # fmt: skip
        if found is not None:
            sides[side] = found
    if not sides:
        return None
    lineage = taxonomy.lineages_at(RANKS.index(network.spec.rank) + 1)[:, 1:]
    sizes = np.bincount(train.labels, minlength=len(lineage))
    pairs = {side: confused_pairs(found.answers, lineage=lineage) for side, found in sides.items()}
    names = [taxonomy.name[node] for node in lineage[:, -1]]
    measured = {side: measure(found.answers, lineage=lineage, sizes=sizes) for side, found in sides.items()}
    return Assessment(
        numbers=_numbers(sides, measured),
        predictions=output / f"{VALIDATION}.parquet",
        train_predictions=output / f"{TRAINING}.parquet",
        metrics_table=write_metrics(measured, output / "metrics.parquet"),
        confusions=write_pairs(pairs, output / "confusions.parquet", names=names),
        text=_write_text(
            evaluation_text(measured, pairs[VALIDATION], names=names, rank=network.spec.rank, title=title),
            output / "evaluation.md",
        ),
        figures={
            "Accuracy by rank": accuracy_by_rank(
                measured[VALIDATION], title=f"{title}: right by rank", path=output / "accuracy_by_rank.png"
            ),
            "Accuracy by class size": accuracy_by_class_size(
                measured, title=f"{title}: right by class size", path=output / "accuracy_by_class_size.png"
            ),
        },
        prototypes=sums.means().write(output / "prototypes.safetensors") if species else None,
    )


def sample(photos: Photos, *, seed: int, most: int = TRAIN_PHOTOS) -> Photos:
    """The photographs, or `most` of them drawn by the seed, in their own order."""
    if len(photos) <= most:
        return photos
    drawn = np.random.default_rng(seed).choice(len(photos), most, replace=False)
    return photos.take(np.sort(drawn))


def _numbers(sides: dict[str, Evaluation], measured: dict[str, list[Measured]]) -> dict[str, float]:
    numbers = flat(measured[VALIDATION]) | flat(measured[TRAINING], prefix="train_")
    for prefix, side in (("", VALIDATION), ("train_", TRAINING)):
        numbers[f"{prefix}unreadable_photos"] = float(sides[side].unreadable)
    return numbers | {f"{side}_photos": float(len(found.photos)) for side, found in sides.items()}


def _write_text(text: str, path: Path) -> Path:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def training_curves(history: Sequence[dict[str, Any]], *, title: str, top1: float, path: Path) -> Path:
    """Draw loss, accuracy and learning rate over the epochs, and the validation after each where there was one.

    Args:
        history: Rows of `history.parquet`; a `probe` row is drawn at epoch 0, in the accuracies only.
        title: What was trained.
        top1: Validation accuracy at the end, drawn as a line.
        path: The PNG to write.
    """
    figure = figure_of(11, 3.6)
    loss, accuracy, rate = figure.subplots(1, 3)
    steps = [row for row in history if row["phase"] != "probe"]
    probes = [row for row in history if row["phase"] == "probe"]
    epochs = [row["epoch"] for row in steps]
    # The probe's loss has its own penalty and no label smoothing: beside the others it would mislead.
    loss.plot(epochs, [row["train_loss"] for row in steps], color=BLUE, marker="o", label="training, epoch's mean")
    looked = [row for row in steps if row.get("validation_loss") is not None]
    if looked:
        seen = [row["epoch"] for row in looked]
        loss.plot(
            seen, [row["validation_loss"] for row in looked], color=GREEN, marker="o", label="validation, half of it"
        )
        accuracy.plot(
            seen, [100 * row["validation_accuracy"] for row in looked], color=GREEN, marker="o",
            label="validation, half of it",
        )  # fmt: skip
    loss.legend(frameon=False, fontsize=8, loc="upper right")
    _over_epochs(loss, title="Loss", label="", epochs=epochs)
    accuracy.plot(
        epochs, [100 * row["train_accuracy"] for row in steps], color=BLUE, marker="o", label="training (augmented)"
    )
    for row in probes:
        accuracy.plot(
            [row["epoch"]], [100 * row["train_accuracy"]], color=VERMILION, marker="D", linestyle="none",
            label="training, head on frozen features",
        )  # fmt: skip
    accuracy.axhline(100 * top1, color=GREEN, linestyle="--", label=f"validation, at the end: {top1:.1%}")
    accuracy.set_ylim(0, 104)
    accuracy.legend(frameon=False, fontsize=8, loc="lower right")
    _over_epochs(accuracy, title="Species accuracy", label="%", epochs=[row["epoch"] for row in probes] + epochs)
    rate.plot(epochs, [row["learning_rate"] for row in steps], color=VERMILION, marker="o")
    rate.set_yscale("log")
    _over_epochs(rate, title="Learning rate at the epoch's end", label="", epochs=epochs)
    figure.suptitle(title, color=INK, fontweight="bold")
    return save(figure, path)


def accuracy_by_rank(measured: Sequence[Measured], *, title: str, path: Path) -> Path:
    """Draw how often the most probable class is right at each rank.

    Args:
        measured: Of the validation side, the accuracy at each rank among them.
        title: What was trained.
        path: The PNG to write.
    """
    figure = figure_of(7, 3.8)
    axes = figure.subplots()
    ranks = [one for one in measured if one.metric == "accuracy"]
    values = [100 * one.value for one in ranks]
    bars = axes.barh([one.group for one in ranks], values, color=[*[BLUE] * (len(ranks) - 1), GREEN], height=0.7)
    axes.bar_label(bars, labels=[f"{value:.1f} %" for value in values], padding=4, color=INK)
    axes.set(xlim=(0, 112), xticks=range(0, 101, 20))
    axes.set_xlabel(f"% right, of {ranks[0].photos:,} validation photographs", color=INK)
    axes.invert_yaxis()
    tidy(axes, title=title, grid=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return save(figure, path)


def accuracy_by_class_size(sides: Mapping[str, Sequence[Measured]], *, title: str, path: Path) -> Path:
    """Draw accuracy against the number of training photographs of a class, both sides (the paper's Figure 4).

    Args:
        sides: Numbers of `validation` and `train`, accuracy by class size among them.
        title: What was trained.
        path: The PNG to write.
    """
    bands = {side: {one.group: one for one in rows if one.metric == SIZE_METRIC} for side, rows in sides.items()}
    groups = [name for name in SIZE_NAMES if any(name in found for found in bands.values())]
    figure = figure_of(7, 3.8)
    axes = figure.subplots()
    width = 0.8 / len(bands)
    looks = {VALIDATION: (GREEN, "validation photographs"), TRAINING: (GRID, "training photographs")}
    for offset, (side, found) in enumerate(bands.items()):
        present = [(place, found[group]) for place, group in enumerate(groups) if group in found]
        colour, label = looks[side]
        bars = axes.bar(
            [place + (offset - (len(bands) - 1) / 2) * width for place, _ in present],
            [100 * one.value for _, one in present], width=0.92 * width, color=colour, label=label,
        )  # fmt: skip
        axes.bar_label(bars, labels=[f"{100 * one.value:.1f}" for _, one in present], padding=2, color=INK, fontsize=8)
    told = bands[VALIDATION]
    names = [f"{size_title(group)}\n{told[group].photos if group in told else 0:,}" for group in groups]
    axes.set_xticks(range(len(groups)), names)
    axes.set_xlabel("training photographs of a class; below: validation photographs of such classes", color=INK)
    axes.set_ylabel("% right", color=INK)
    axes.set(ylim=(0, 118), yticks=range(0, 101, 20))
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    tidy(axes, title=title, grid=False)
    return save(figure, path)


def _over_epochs(axes: Axes, *, title: str, label: str, epochs: Sequence[int]) -> None:
    tidy(axes, title=title)
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(label, color=INK)
    axes.set_xticks(sorted({*epochs[:: max(1, len(epochs) // 8)], epochs[-1]}))
