"""The answers of a trained network for one side of the split, streamed to disk as they come.

Metrics of the answers are in `ml.evaluation.metrics`, both sides together in `ml.evaluation.report`.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ml.child.pipes import Reporter
from ml.child.progress import meter
from ml.devices import Device
from ml.errors import DataError, InterruptedTrainingError
from ml.evaluation.metrics import Answers
from ml.evaluation.predictions import prediction_writer
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos
from ml.networks.embeddings import Embeddings
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network

BATCH = 64
TOP = 5
"""Most probable classes that are kept of each photograph."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Answers about one side of the split, in the order of the file's rows."""

    photos: Photos
    """The readable photographs."""
    answers: Answers
    unreadable: int


@torch.no_grad()
def predict(
    network: Network,
    *,
    photos: Photos,
    pack: Pack,
    device: Device,
    workers: int,
    reporter: Reporter,
    stop: threading.Event,
    title: str,
    output: Path,
    distributions: bool,
    frozen: FrozenLayers | Embeddings | None = None,
) -> Evaluation:
    """Run `network` over `photos`: centre crop, softmax in float32; in memory stay only the most probable classes.

    Args:
        network: The trained network.
        photos: One side of the split, labelled by the network's classes.
        pack: Where the bytes are.
        device: Where to compute.
        workers: Decoding threads.
        reporter: Hears of progress and unreadable photographs.
        stop: Set to end early.
        title: Shown with the progress.
        output: The Parquet file, written atomically (`ml.evaluation.predictions.prediction_writer`); unreadable
            photographs leave no row.
        distributions: Whether it holds the halves of validation and all probabilities, as float16.
        frozen: Gives features of frozen layers, or embeddings, instead of pixels.

    Raises:
        InterruptedTrainingError: `stop` was set.
        DataError: none of the photographs can be decoded.
    """
    device.place(network).eval()
    spec, classes = network.spec, network.head.out_features
    kept: list[NDArray[np.int64]] = []
    top_ids: list[NDArray[np.int64]] = []
    top_probabilities: list[NDArray[np.float32]] = []
    positions = np.arange(len(photos))
    groups = [positions[begin : begin + BATCH] for begin in range(0, len(positions), BATCH)]
    source = frozen if frozen is not None else Loader(pack, spec, device=device, workers=workers)
    unreadable, top = 0, min(TOP, classes)
    with (
        meter(title, total=len(photos), reporter=reporter) as progress,
        prediction_writer(output, classes=classes, top=top, distributions=distributions) as writer,
    ):
        for batch in source.batches(photos, groups=groups):
            if stop.is_set():
                raise InterruptedTrainingError(f"interrupted during {title}; run again")
            for reason in batch.unreadable:
                reporter.info(f"skipped an unreadable photograph, {reason}")
            unreadable += len(batch.unreadable)
            if not len(batch.positions):
                continue
            inputs = source.inputs(batch.pixels, positions=batch.positions)
            with device.autocast():
                logits = network(inputs)
            probabilities = logits.float().softmax(1)
            best = probabilities.topk(top, dim=1)
            kept.append(batch.positions)
            top_ids.append(best.indices.cpu().numpy())
            top_probabilities.append(best.values.cpu().numpy())
            writer.add(
                photo_ids=[photos.photo_ids[position] for position in batch.positions],
                labels=photos.labels[batch.positions],
                halves=[photos.halves[position] for position in batch.positions],
                top_ids=top_ids[-1],
                top_probabilities=top_probabilities[-1],
                distributions=probabilities.half().cpu().numpy() if distributions else None,
            )
            progress.advance(len(batch.positions))
        if not kept:
            raise DataError(f"none of the {len(photos)} photographs of {title} can be decoded")
    readable = photos.take(np.concatenate(kept))
    answers = Answers(
        labels=readable.labels, top_ids=np.concatenate(top_ids), top_probabilities=np.concatenate(top_probabilities)
    )
    return Evaluation(photos=readable, answers=answers, unreadable=unreadable)
