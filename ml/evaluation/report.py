"""A trained network on both sides of the split: answers, numbers, confused taxa and pictures, as files."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.child.pipes import Reporter
from ml.devices import Device
from ml.evaluation.accuracy_figures import TRAINING, VALIDATION, accuracy_by_class_size, accuracy_by_rank
from ml.evaluation.class_sums import ClassSums
from ml.evaluation.drawing import save_figure
from ml.evaluation.evaluation_text import evaluation_text
from ml.evaluation.metrics import Measured, confused_pairs, flat, measure, write_metrics, write_pairs
from ml.evaluation.predict import Evaluation, predict
from ml.files import replacing
from ml.images.loader import Loader
from ml.images.pack import Photos
from ml.networks.embeddings import Embeddings
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network
from ml.spec import RANKS
from ml.taxonomy import Taxonomy

TRAIN_PHOTOS = 100_000
"""Training photographs that are also evaluated (the paper's overfitting column): all, or so many drawn by the seed."""


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
    """PNG pictures by title; each has an SVG twin of the same name beside it."""
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
            "Accuracy by rank": save_figure(
                accuracy_by_rank(measured[VALIDATION], title=f"{title}: right by rank"),
                output / "accuracy_by_rank.png",
            ),
            "Accuracy by class size": save_figure(
                accuracy_by_class_size(measured, title=f"{title}: right by class size"),
                output / "accuracy_by_class_size.png",
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
