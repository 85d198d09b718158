"""What a trained network answers: probabilities over the validation side, streamed to disk, and accuracy by rank."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from ml import data
from ml.data import Pack, Photos
from ml.devices import Device
from ml.errors import DataError, InterruptedTrainingError
from ml.networks import Network
from ml.pipes import Reporter
from ml.progress import meter
from ml.spec import RANKS

BATCH = 64
TOP = 5
SIZES = ((1, 9), (10, 19), (20, 49), (50, None))
"""Classes by number of training photographs, for accuracy by class size."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Answers about one side of the split, in the order of `probabilities`' rows."""

    photos: Photos
    """The readable photographs."""
    predicted: NDArray[np.int64]
    """The most probable class of each."""
    in_top: NDArray[np.bool_]
    """Whether the true class is among the five most probable."""
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
    output: Path | None = None,
) -> Evaluation:
    """Run `network` over `photos`: centre crop, softmax in float32, float16 on disk.

    Args:
        network: The trained network.
        photos: One side of the split.
        pack: Where the bytes are.
        device: Where to compute.
        workers: Decoding threads.
        reporter: Told about progress and unreadable photographs.
        stop: Set to end early.
        title: What is shown while it runs.
        output: A `.npy` for the probabilities (readable photographs x classes); written atomically.

    Raises:
        InterruptedTrainingError: `stop` was set.
        DataError: none of the photographs can be decoded.
    """
    device.place(network).eval()
    spec = network.spec
    kept: list[NDArray[np.int64]] = []
    predicted: list[NDArray[np.int64]] = []
    in_top: list[NDArray[np.bool_]] = []
    partial = output.with_name(f".{output.name}.partial") if output else None
    store = _memmap(partial, rows=len(photos), columns=network.head.out_features) if partial else None
    positions = np.arange(len(photos))
    stream = data.batches(
        photos,
        pack=pack,
        groups=[positions[begin : begin + BATCH] for begin in range(0, len(positions), BATCH)],
        box=lambda _: data.CENTRE,
        views=spec.views,
        image_size=spec.image_size,
        workers=workers,
    )
    done = unreadable = 0
    with meter(title, total=len(photos), reporter=reporter) as progress:
        for batch in stream:
            if stop.is_set():
                raise InterruptedTrainingError(f"interrupted during {title}; run again")
            for reason in batch.unreadable:
                reporter.info(f"skipped an unreadable photograph, {reason}")
            unreadable += len(batch.unreadable)
            if not len(batch.positions):
                continue
            pixels = data.standardise(device.pixels(batch.pixels), spec.mean, spec.std)
            with device.autocast():
                logits = network(pixels)
            probabilities = logits.float().softmax(1).cpu()
            top = probabilities.topk(min(TOP, probabilities.shape[1]), dim=1).indices
            if store is not None:
                store[done : done + len(top)] = probabilities.numpy().astype(np.float16)
            kept.append(batch.positions)
            predicted.append(top[:, 0].numpy())
            in_top.append((top == batch.labels[:, None]).any(1).numpy())
            done += len(top)
            progress.advance(len(top))
    if not done:
        raise DataError(f"none of the {len(photos)} photographs of {title} can be decoded")
    if output is not None and partial is not None and store is not None:
        store.flush()
        _finish(partial, output=output, rows=done)
    return Evaluation(
        photos=photos.take(np.concatenate(kept)),
        predicted=np.concatenate(predicted),
        in_top=np.concatenate(in_top),
        unreadable=unreadable,
    )


def write_predictions(evaluation: Evaluation, path: Path) -> Path:
    """Write `validation.parquet`: photo_id, class_id, half, predicted_class_id; rows as in the probabilities."""
    table = pa.table(
        {
            "photo_id": pa.array(evaluation.photos.photo_ids, pa.string()),
            "class_id": pa.array(evaluation.photos.labels, pa.int32()),
            "half": pa.array(evaluation.photos.halves, pa.string()),
            "predicted_class_id": pa.array(evaluation.predicted, pa.int32()),
        }
    )
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(table, partial)
    partial.replace(path)
    return path


def metrics(
    evaluation: Evaluation, *, lineages: NDArray[np.int32], train_labels: NDArray[np.int64]
) -> dict[str, float]:
    """Accuracies of the most probable species.

    Args:
        evaluation: Answers about the validation side.
        lineages: Each class's ancestors from the root down to itself; see `Taxonomy.lineages_at`.
        train_labels: Class ids of the training side, for accuracy by class size.

    Returns:
        top1, top5; macro_top1, the mean over the classes that occur; accuracy_<rank>, where the predicted species'
        ancestor is the true one's; top1_classes_of_<low>_to_<high> training photographs, where there are such classes.
    """
    truth, predicted = evaluation.photos.labels, evaluation.predicted
    right = predicted == truth
    classes = len(lineages)
    seen = np.bincount(truth, minlength=classes)
    hits = np.bincount(truth[right], minlength=classes)
    found = {
        "top1": float(right.mean()),
        "top5": float(evaluation.in_top.mean()),
        "macro_top1": float((hits[seen > 0] / seen[seen > 0]).mean()),
        "validation_photos": float(len(truth)),
        "unreadable_photos": float(evaluation.unreadable),
    }
    for rank, ancestors in zip(RANKS, lineages[:, 1:].T, strict=False):
        found[f"accuracy_{rank}"] = float((ancestors[predicted] == ancestors[truth]).mean())
    sizes = np.bincount(train_labels, minlength=classes)[truth]
    for low, high in SIZES:
        chosen = (sizes >= low) & (sizes <= high) if high else sizes >= low
        if chosen.any():
            found[f"top1_classes_of_{low}_{f'to_{high}' if high else 'up'}"] = float(right[chosen].mean())
    return found


def _memmap(path: Path, *, rows: int, columns: int) -> np.memmap[tuple[int, int], np.dtype[np.float16]]:
    opened: np.memmap[tuple[int, int], np.dtype[np.float16]] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float16, shape=(rows, columns)
    )
    return opened


def _finish(partial: Path, *, output: Path, rows: int) -> None:
    """Move the probabilities into place, cut to `rows`: unreadable photographs leave no row."""
    whole = np.load(partial, mmap_mode="r")
    if rows < len(whole):
        cut = partial.with_name(f"{partial.name}.cut")
        target = _memmap(cut, rows=rows, columns=whole.shape[1])
        for begin in range(0, rows, 4096):
            target[begin : begin + 4096] = whole[begin : min(rows, begin + 4096)]
        target.flush()
        partial.unlink()
        partial = cut
    partial.replace(output)
