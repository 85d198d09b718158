"""Labelled embeddings as the fit of a head takes them: in memory, or read from disk piece by piece.

Each process holds, or reads, its own share. All see features standardised by the same mean and deviation.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.devices import Device
from ml.errors import InterruptedTrainingError
from ml.networks.embeddings import Pass, Piece

MIXED_PIECES = 8
"""Pieces that are read together, in an order drawn by the seed, and whose rows are then mixed: 8,192 photographs, 42 MB
of 1,280 features each. Photographs lie in the order of their identifiers, which tell little of the class."""
LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, eq=False)
class Moments:
    """Of each feature over all training photographs."""

    mean: Tensor
    """(F)."""
    deviation: Tensor
    """(F), at least `LEAST_DEVIATION`."""
    count: int
    """Rows of all processes."""


class Rows(Protocol):
    """The rows of this process."""

    def __len__(self) -> int:
        """How many there are."""

    def chunks(self, size: int) -> Iterator["Held"]:
        """All rows in parts of at most `size`, always in the same order."""

    def batches(self, size: int, *, seed: int, epoch: int) -> Iterator["Held"]:
        """All rows in parts of `size` in an order that depends on seed and epoch only; the last may be smaller."""

    def without(self, fold: int) -> "Rows":
        """The rows of all other folds."""

    def only(self, fold: int) -> "Rows":
        """The rows of one fold."""


class Held:
    """Rows in the memory of the device."""

    def __init__(self, features: Tensor, labels: Tensor, folds: Tensor) -> None:
        """Hold rows.

        Args:
            features: (N, F) float32.
            labels: Class ids (N).
            folds: The fold of each photograph (N) in cross-validation.
        """
        self.features, self.labels, self.folds = features, labels, folds

    def __len__(self) -> int:
        """How many there are."""
        return len(self.labels)

    def chunks(self, size: int) -> Iterator["Held"]:
        """All rows in parts of at most `size`."""
        for begin in range(0, len(self), size):
            chosen = slice(begin, begin + size)
            yield Held(self.features[chosen], self.labels[chosen], self.folds[chosen])

    def batches(self, size: int, *, seed: int, epoch: int) -> Iterator["Held"]:
        """All rows in parts of `size`, mixed."""
        order = torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(len(self))).to(self.labels.device)
        for begin in range(0, len(self), size):
            yield self.at(order[begin : begin + size])

    def at(self, chosen: Tensor) -> "Held":
        """The rows at some positions, or where a mask is set."""
        return Held(self.features[chosen], self.labels[chosen], self.folds[chosen])

    def without(self, fold: int) -> "Held":
        """The rows of all other folds."""
        return self.at(self.folds != fold)

    def only(self, fold: int) -> "Held":
        """The rows of one fold."""
        return self.at(self.folds == fold)


class Source(Protocol):
    """Where embeddings are; `ml.networks.embeddings.Embeddings` computes them."""

    def piece(self, of: Pass, number: int) -> Piece:
        """A piece of a pass."""


class Streamed:
    """Rows on disk: in memory are the pieces that are mixed with one another."""

    def __init__(
        self,
        source: Source,
        passes: Sequence[Pass],
        *,
        device: Device,
        folds: NDArray[np.int64],
        stop: threading.Event,
        moments: Moments | None = None,
        chosen: NDArray[np.bool_] | None = None,
    ) -> None:
        """Read the embeddings of `passes` over the same photographs.

        Args:
            source: Where they are.
            passes: Over the same photographs.
            device: This process's.
            folds: The fold of each photograph.
            stop: Set to end early.
            moments: What to standardise by; None to leave features as they are.
            chosen: Which photographs count; None for all.
        """
        self._source, self._passes, self._device, self._folds, self._stop = source, passes, device, folds, stop
        self._moments = moments
        self._chosen = np.ones(len(folds), np.bool_) if chosen is None else chosen
        pieces = [(one, number) for one in passes for number in range(one.pieces)]
        self._pieces = pieces[device.rank :: device.world]

    def __len__(self) -> int:
        """How many there are at most: a photograph without an embedding counts."""
        return int(sum(self._chosen[one.positions(number)].sum() for one, number in self._pieces))

    def chunks(self, size: int) -> Iterator[Held]:
        """All rows in parts of at most `size`, piece by piece."""
        for piece in self._pieces:
            yield from self._read([piece]).chunks(size)

    def batches(self, size: int, *, seed: int, epoch: int) -> Iterator[Held]:
        """All rows in parts of `size`; mixed are those of pieces that are read together, which the seed draws."""
        order = np.random.default_rng((seed, epoch)).permutation(len(self._pieces))
        left: list[Held] = []
        for begin in range(0, len(order), MIXED_PIECES):
            read = self._read([self._pieces[at] for at in order[begin : begin + MIXED_PIECES]])
            mixed = next(read.batches(max(1, len(read)), seed=seed, epoch=epoch), read)
            left = [joined([*left, mixed])]
            whole = len(left[0]) // size * size
            yield from left[0].at(torch.arange(whole, device=left[0].labels.device)).chunks(size)
            left = [left[0].at(torch.arange(whole, len(left[0]), device=left[0].labels.device))]
        if left and len(left[0]):
            yield left[0]

    def held(self, *, columns: int) -> Held:
        """All rows in memory, of `columns` features each."""
        features = torch.empty(len(self), columns, device=self._device.device)
        labels, folds = (torch.empty(len(self), dtype=torch.int64, device=self._device.device) for _ in range(2))
        count = 0
        for piece in self._pieces:
            read = self._read([piece])
            there = slice(count, count + len(read))
            features[there], labels[there], folds[there] = read.features, read.labels, read.folds
            count += len(read)
        return Held(features[:count], labels[:count], folds[:count])

    def standardised(self, moments: Moments) -> "Streamed":
        """The same rows with mean 0 and deviation 1 in each feature."""
        return self._changed(moments=moments)

    def without(self, fold: int) -> "Streamed":
        """The rows of all other folds."""
        return self._changed(chosen=self._chosen & (self._folds != fold))

    def only(self, fold: int) -> "Streamed":
        """The rows of one fold."""
        return self._changed(chosen=self._chosen & (self._folds == fold))

    def _changed(self, *, moments: Moments | None = None, chosen: NDArray[np.bool_] | None = None) -> "Streamed":
        return Streamed(
            self._source,
            self._passes,
            device=self._device,
            folds=self._folds,
            stop=self._stop,
            moments=self._moments if moments is None else moments,
            chosen=self._chosen if chosen is None else chosen,
        )

    def _read(self, pieces: Sequence[tuple[Pass, int]]) -> Held:
        if self._stop.is_set():
            raise InterruptedTrainingError("interrupted while fitting the head; run again to go on from there")
        read = []
        for one, number in pieces:
            piece = self._source.piece(one, number)
            chosen = self._chosen[piece.positions]
            positions = piece.positions[chosen]
            features = self._device.send(piece.features if chosen.all() else piece.features[torch.from_numpy(chosen)])
            if self._moments is not None:
                features = features.sub(self._moments.mean).div_(self._moments.deviation)
            labels, folds = (
                self._device.send(torch.from_numpy(of[positions])) for of in (one.photos.labels, self._folds)
            )
            read.append(Held(features, labels, folds))
        return joined(read)


def joined(rows: Sequence[Held]) -> Held:
    """Some rows one after the other."""
    if len(rows) == 1:
        return rows[0]
    return Held(
        torch.cat([one.features for one in rows]),
        torch.cat([one.labels for one in rows]),
        torch.cat([one.folds for one in rows]),
    )


def moments_of(rows: Rows, *, columns: int, device: Device, chunk: int) -> Moments:
    """Mean and deviation of each of `columns` features over the rows of all processes, summed in double precision."""
    # Of three sums the last is their number.
    sums = torch.zeros(3, columns, dtype=torch.float64, device=device.device)
    for part in rows.chunks(chunk):
        features = part.features.double()
        sums[0] += features.sum(0)
        sums[1] += features.square().sum(0)
        sums[2] += len(part)
    total, squares, counts = device.add_up(sums)
    count = int(counts[0])
    mean = total / max(1, count)
    variance = (squares / max(1, count) - mean.square()).clamp_min(0)
    deviation = variance.sqrt().clamp_min(LEAST_DEVIATION)
    return Moments(mean.float(), deviation.float(), count)
