"""A trained network on both sides of the split: answers, numbers, confused taxa and pictures, as files."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.child.pipes import Reporter
from ml.devices import Device
from ml.evaluation import figures
from ml.evaluation.metrics import Measured, confused_pairs, flat, measure, write_metrics, write_pairs
from ml.evaluation.predict import Evaluation, predict
from ml.images.pack import Pack, Photos
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network
from ml.spec import RANKS
from ml.taxonomy import Integers, Taxonomy

TRAIN_PHOTOS = 100_000
"""Training photographs that are also evaluated (the paper's overfitting column): all, or so many drawn by the seed."""
VALIDATION, TRAINING = "validation", "train"
"""The sides, as `split.parquet` and `metrics.parquet` call them."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What the evaluation of one stage left in its folder."""

    numbers: dict[str, float]
    """Of the validation side by their names in `ml.evaluation.metrics`, of the training side with `train_` before
    them."""
    predictions: Path
    """`validation.parquet`."""
    train_predictions: Path
    """`train.parquet`."""
    metrics_table: Path
    """`metrics.parquet`."""
    confusions: Path
    """`confusions.parquet`."""
    figures: dict[str, Path]
    """PNG pictures by title."""


def assess(
    network: Network,
    *,
    validation: Photos,
    train: Photos,
    taxonomy: Taxonomy,
    seed: int,
    title: str,
    output: Path,
    pack: Pack,
    device: Device,
    workers: int,
    reporter: Reporter,
    stop: threading.Event,
    frozen: FrozenLayers | None = None,
) -> Assessment:
    """Evaluate `network` on both sides.

    Args:
        network: The trained network; `network.spec` says what its classes are.
        validation: All of the validation side, labelled by the network's classes.
        train: All of the training side, likewise.
        taxonomy: The tree.
        seed: Draws the training photographs where there are more than `TRAIN_PHOTOS`.
        title: What pictures are headed with.
        output: The folder for the files.
        pack: Where the photographs are.
        device: Where to compute.
        workers: Decoding threads.
        reporter: Told about progress and unreadable photographs.
        stop: Set to end early.
        frozen: Gives features of frozen layers in the place of pixels.

    Raises:
        InterruptedTrainingError: `stop` was set.
        DataError: none of the photographs of a side can be decoded.
    """
    sides: dict[str, Evaluation] = {}
    for side, photos in ((VALIDATION, validation), (TRAINING, sample(train, seed=seed))):
        sides[side] = predict(
            network, photos=photos, pack=pack, device=device, workers=workers, reporter=reporter, stop=stop,
            title=f"{side} photographs", output=output / f"{side}.parquet", distributions=side == VALIDATION,
            frozen=frozen,
        )  # fmt: skip
    lineage = taxonomy.lineages_at(RANKS.index(network.spec.rank) + 1)[:, 1:]
    sizes = np.bincount(train.labels, minlength=len(lineage))
    measured = {side: measure(found.answers, lineage=lineage, sizes=sizes) for side, found in sides.items()}
    return Assessment(
        numbers=_numbers(sides, measured),
        predictions=output / f"{VALIDATION}.parquet",
        train_predictions=output / f"{TRAINING}.parquet",
        metrics_table=write_metrics(measured, output / "metrics.parquet"),
        confusions=_write_confusions(sides, taxonomy=taxonomy, lineage=lineage, path=output / "confusions.parquet"),
        figures={
            "Accuracy by rank": figures.accuracy_by_rank(
                measured[VALIDATION], title=f"{title}: right by rank", path=output / "accuracy_by_rank.png"
            ),
            "Accuracy by class size": figures.accuracy_by_class_size(
                measured, title=f"{title}: right by class size", path=output / "accuracy_by_class_size.png"
            ),
        },
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


def _write_confusions(sides: dict[str, Evaluation], *, taxonomy: Taxonomy, lineage: Integers, path: Path) -> Path:
    pairs = {side: confused_pairs(found.answers, lineage=lineage) for side, found in sides.items()}
    return write_pairs(pairs, path, names=[taxonomy.name[node] for node in lineage[:, -1]])
