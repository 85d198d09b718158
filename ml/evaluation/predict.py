"""The answers of a trained network for one side of the split, streamed to disk as they come.

Several processes share the batches, and the first writes: the file is that of one process. Metrics of the answers are
in `ml.evaluation.metrics`, both sides together in `ml.evaluation.report`.
"""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from ml.child.pipes import Reporter
from ml.child.progress import meter
from ml.devices import Device
from ml.errors import DataError, InterruptedTrainingError
from ml.evaluation.class_means import ClassSums
from ml.evaluation.metrics import Answers
from ml.evaluation.predictions import prediction_writer
from ml.images.loader import Batch, Loader
from ml.images.pack import Photos
from ml.networks.embeddings import Embeddings
from ml.networks.frozen import FrozenLayers
from ml.networks.inference import Seen, look
from ml.networks.network import Network

BATCH = 64
GPU_BATCH = 256
"""Photographs at once on a GPU, which small batches leave idle."""
TOP = 5
"""Most probable classes that are kept of each photograph."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Answers about one side of the split, in the order of the file's rows."""

    photos: Photos
    """The readable photographs."""
    answers: Answers
    unreadable: int


@dataclass(frozen=True, eq=False, kw_only=True)
class _Part:
    """Answers about one batch, as they travel between processes; without photographs, of nothing."""

    positions: NDArray[np.int64]
    unreadable: tuple[str, ...]
    top_ids: NDArray[np.int64]
    top_probabilities: NDArray[np.float32]
    distributions: NDArray[np.float16] | None
    embeddings: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class _Wanted:
    """What is kept of the answers beside the most probable classes."""

    distributions: bool
    embeddings: bool
    sums: ClassSums | None


def predict(
    network: Network,
    *,
    photos: Photos,
    loader: Loader | FrozenLayers | Embeddings,
    device: Device,
    reporter: Reporter,
    stop: threading.Event,
    title: str,
    output: Path,
    distributions: bool,
    embeddings: bool = False,
    sums: ClassSums | None = None,
) -> Evaluation | None:
    """Run `network` over `photos` as `ml.networks.inference` says; in memory stay only the most probable classes.

    Every process of the group must call this; each computes its share of the batches.

    Args:
        network: The trained network.
        photos: One side of the split, labelled by the network's classes.
        loader: Gives the parts of photographs that `ml.networks.inference.seen_boxes` lists; for a network that looks
            at the centre alone also the features of its frozen layers, or embeddings.
        device: Where to compute.
        reporter: Hears of progress and unreadable photographs.
        stop: Set to end early; in any of the processes.
        title: Shown with the progress.
        output: The Parquet file, written atomically (`ml.evaluation.predictions.prediction_writer`); unreadable
            photographs leave no row.
        distributions: Whether it holds the halves of validation and all probabilities, as float16.
        embeddings: Whether the file holds them, as float32.
        sums: Takes the embeddings of all processes by their labels.

    Returns:
        The answers, on the first process; None on the others.

    Raises:
        InterruptedTrainingError: `stop` was set.
        DataError: none of the photographs can be decoded.
    """
    device.place(network).eval()
    wanted = _Wanted(distributions=distributions, embeddings=embeddings, sums=sums)
    parts = _uninterrupted(
        _parts(network, photos=photos, loader=loader, device=device, wanted=wanted), device=device, stop=stop,
        title=title,
    )  # fmt: skip
    found = None
    if device.first:
        found = _write(
            parts, network=network, photos=photos, device=device, reporter=reporter, title=title, output=output,
            wanted=wanted,
        )  # fmt: skip
    else:
        for part in parts:
            dist.gather_object(part)
    if sums is not None:
        sums.add_up(device, features=network.head.in_features)
    return found


def _uninterrupted(parts: Iterator[_Part], *, device: Device, stop: threading.Event, title: str) -> Iterator[_Part]:
    """The parts, until any of the processes is asked to end."""
    for part in parts:
        if device.any(stop.is_set()):
            raise InterruptedTrainingError(f"interrupted during {title}; run again")
        yield part


def _write(
    parts: Iterator[_Part],
    *,
    network: Network,
    photos: Photos,
    device: Device,
    reporter: Reporter,
    title: str,
    output: Path,
    wanted: _Wanted,
) -> Evaluation:
    """Write the answers of all processes, on the first."""
    head = network.head
    kept, unreadable = [], 0
    with (
        meter(title, total=len(photos), reporter=reporter) as progress,
        prediction_writer(
            output, classes=head.out_features, top=min(TOP, head.out_features), distributions=wanted.distributions,
            embeddings=head.in_features if wanted.embeddings else 0,
        ) as writer,
    ):  # fmt: skip
        for part in (part for own in parts for part in _of_all(own, device=device)):
            for reason in part.unreadable:
                reporter.info(f"skipped an unreadable photograph, {reason}")
            unreadable += len(part.unreadable)
            if not len(part.positions):
                continue
            kept.append((part.positions, part.top_ids, part.top_probabilities))
            writer.add(
                photo_ids=[photos.photo_ids[position] for position in part.positions],
                labels=photos.labels[part.positions],
                halves=[photos.halves[position] for position in part.positions],
                top_ids=part.top_ids,
                top_probabilities=part.top_probabilities,
                distributions=part.distributions,
                embeddings=part.embeddings,
            )
            progress.advance(len(part.positions))
        if not kept:
            raise DataError(f"none of the {len(photos)} photographs of {title} can be decoded")
    positions, top_ids, top_probabilities = (np.concatenate(each) for each in zip(*kept, strict=True))
    readable = photos.take(positions)
    answers = Answers(labels=readable.labels, top_ids=top_ids, top_probabilities=top_probabilities)
    return Evaluation(photos=readable, answers=answers, unreadable=unreadable)


def _of_all(own: _Part, *, device: Device) -> list[_Part]:
    """The parts of one round, in the order of the processes, on the first of them."""
    if device.world == 1:
        return [own]
    parts: list[_Part] = [own] * device.world
    dist.gather_object(own, parts)
    return parts


@torch.no_grad()
def _parts(
    network: Network, *, photos: Photos, loader: Loader | FrozenLayers | Embeddings, device: Device, wanted: _Wanted
) -> Iterator[_Part]:
    """This process's share of the batches: as many parts in each process, the last of which may be of nothing.

    While the device computes a batch, the answers about the one before are on their way.
    """
    size, positions = GPU_BATCH if device.device.type == "cuda" else BATCH, np.arange(len(photos))
    groups = [positions[begin : begin + size] for begin in range(0, len(positions), size)]
    rounds = -(-len(groups) // device.world)
    groups = groups[device.rank :: device.world]
    groups += [positions[:0]] * (rounds - len(groups))
    running: deque[_Running] = deque()
    for batch in loader.batches(photos, groups=groups):
        running.append(_Running(network, batch, loader=loader, device=device, wanted=wanted))
        if len(running) > 1:
            yield running.popleft().read()
    while running:
        yield running.popleft().read()


class _Running:
    """One batch on a device that may still compute it."""

    def __init__(
        self,
        network: Network,
        batch: Batch,
        *,
        loader: Loader | FrozenLayers | Embeddings,
        device: Device,
        wanted: _Wanted,
    ) -> None:
        self._batch, self._wanted, classes = batch, wanted, network.head.out_features
        seen = Seen(probabilities=torch.empty(0, classes), embeddings=torch.empty(0, network.head.in_features))
        if len(batch.positions):
            seen = look(network, loader.inputs(batch.pixels, positions=batch.positions), device=device)
            if wanted.sums is not None:
                wanted.sums.add_products(seen.embeddings)
        probabilities = seen.probabilities
        best = probabilities.topk(min(TOP, classes), dim=1)
        self._top = best.indices.to("cpu", non_blocking=True), best.values.to("cpu", non_blocking=True)
        self._all: Tensor | None = probabilities.half().to("cpu", non_blocking=True) if wanted.distributions else None
        needed = wanted.embeddings or wanted.sums is not None
        self._embeddings = seen.embeddings.to("cpu", non_blocking=True) if needed else None
        # From a GPU these copies go to pinned memory, and are there when the event is.
        self._copied = torch.cuda.Event() if probabilities.is_cuda else None  # type: ignore[no-untyped-call]
        if self._copied is not None:
            self._copied.record()

    def read(self) -> _Part:
        """Wait for the answers."""
        if self._copied is not None:
            self._copied.synchronize()
        wanted = self._wanted
        if wanted.sums is not None and self._embeddings is not None and len(self._batch.positions):
            wanted.sums.add_means(self._embeddings, self._batch.labels)
        return _Part(
            positions=self._batch.positions,
            unreadable=self._batch.unreadable,
            top_ids=self._top[0].numpy(),
            top_probabilities=self._top[1].numpy(),
            distributions=None if self._all is None else self._all.numpy(),
            embeddings=self._embeddings.numpy() if wanted.embeddings and self._embeddings is not None else None,
        )
