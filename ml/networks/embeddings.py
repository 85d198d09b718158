"""Embeddings, the pooled features of a whole network, of many photographs: computed once, and read back in pieces.

One pass over photographs is kept in files of `PIECE` photographs. As in `ml.networks.frozen`, their names are hashes of
all that decides their content: the network up to its head, the photographs' bytes, the crops and the changes of colour,
and the libraries that compute. Heads of any kind, and networks of any rank, share them. Reading takes the memory of a
few pieces, however many photographs there are.
"""

import hashlib
import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
import timm
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ml.child.pipes import Reporter
from ml.child.progress import meter
from ml.errors import InterruptedTrainingError
from ml.images.augmentation import RandomChanges
from ml.images.loader import Batch, Loader
from ml.images.pack import Photos
from ml.networks.frozen import FrozenLayers, remove_old, write_shared
from ml.networks.network import Network

PIECE = 1_024
"""Photographs of one file: 5 MB of 1,280 numbers each. An interrupted pass computes at most so many again."""
BATCH = {"cpu": 64, "cuda": 256}
"""Photographs that run through the network together."""
HELD_PIECES = 2
"""In memory, for whoever asks for photographs in their order."""
KEPT_SECONDS = 30 * 86_400.0
"""A file that was not read for this time is removed."""
NO_FEATURES = ("classes", "rank", "head", "dropout", "auxiliary", "test_time", "precision")
"""Of a network's description, what decides no embedding of a photograph's centre; the precision is the device's."""
NO_HEAD = ("head.", "auxiliary.")
"""Parameters that decide no embedding."""


class Piece(NamedTuple):
    """Embeddings of photographs that follow one another."""

    features: Tensor
    """(N, F) float32, on the processor, of the photographs that have some."""
    positions: NDArray[np.int64]
    """Where these are among the photographs (N)."""
    failures: dict[int, str]
    """Why a photograph has none, by its position."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over photographs, piece by piece."""

    photos: Photos
    changes: RandomChanges | None = None
    """Random crops and colours; without them, the central part as it is."""

    @property
    def pieces(self) -> int:
        """How many there are."""
        return -(-len(self.photos) // PIECE)

    def positions(self, number: int) -> NDArray[np.int64]:
        """Positions of the photographs of a piece."""
        return np.arange(number * PIECE, min((number + 1) * PIECE, len(self.photos)))


class Embeddings:
    """The embeddings that a network gives. `batches` and `inputs` take the place of those of `Loader`."""

    def __init__(
        self,
        network: Network,
        *,
        loader: Loader | FrozenLayers,
        folder: Path,
        stop: threading.Event,
        reporter: Reporter,
    ) -> None:
        """Embed by `network`, whose head decides nothing.

        Args:
            network: On its device, all weights up to the head as they are to stay.
            loader: Gives photographs as the network takes them, or the features of its frozen layers.
            folder: Where pieces are kept; networks may share it, also at the same time.
            stop: Set to end early.
            reporter: Hears of progress, and of photographs whose embedding is not finite.
        """
        self.network, self.loader, self.folder, self._stop, self._reporter = network, loader, folder, stop, reporter
        self._batch = BATCH["cuda" if loader.device.device.type == "cuda" else "cpu"]
        self.name = self._hash()
        """A hash of all that decides an embedding but the photograph."""
        self._files: dict[tuple[Pass, int], Path] = {}
        self._held: OrderedDict[tuple[Pass, int], Piece] = OrderedDict()
        rows = len(loader.pack.photo_ids)
        self._passes: list[Pass] = []
        # Where the embedding of a row of the pack is: a sample of a side is read, not computed again.
        self._pass_of_row, self._position_of_row = np.full(rows, -1, np.int32), np.zeros(rows, np.int64)
        remove_old(folder, seconds=KEPT_SECONDS)

    def keep(self, passes: Sequence[Pass], *, title: str) -> None:
        """Compute what is missing of `passes`; processes share it out, and all must call this.

        Raises:
            InterruptedTrainingError: the event to stop was set; the pieces computed so far are kept.
        """
        device = self.loader.device
        pieces = [(one, number) for one in passes for number in range(one.pieces)]
        absent = torch.zeros(len(pieces), dtype=torch.int64)
        for at in range(device.rank, len(pieces), device.world):
            absent[at] = not self.file(*pieces[at]).exists()
        # What is missing is divided anew, so that no process waits long for another.
        missing = device.add_up(absent.to(device.device)).nonzero().flatten().tolist()
        own = [pieces[at] for at in missing[device.rank :: device.world]]
        with meter(title, total=sum(len(one.positions(number)) for one, number in own), reporter=self._reporter) as bar:
            for one in passes:
                for piece in self._computed(one, [number for of, number in own if of is one]):
                    bar.advance(len(piece.positions) + len(piece.failures))
        for one in passes:
            if one.changes is None:
                self._passes.append(one)
                self._pass_of_row[one.photos.rows] = len(self._passes) - 1
                self._position_of_row[one.photos.rows] = np.arange(len(one.photos))

    def piece(self, of: Pass, number: int) -> Piece:
        """A piece of a pass, from its file; computed where that is missing.

        Raises:
            InterruptedTrainingError: the event to stop was set.
        """
        found = read_piece(self.file(of, number), begin=number * PIECE)
        return found or next(self._computed(of, [number]))

    def batches(
        self, photos: Photos, *, groups: Sequence[NDArray[np.intp]], changes: RandomChanges | None = None
    ) -> Iterator[Batch]:
        """Batches of embeddings (N, F) on the processor, in the place of pixels; cheap where positions follow in order.

        Args:
            photos: Some photographs.
            groups: Positions in `photos`, one array per batch.
            changes: Random crops and colours; without them, the central part as it is.

        Raises:
            InterruptedTrainingError: the event to stop was set; the pieces computed so far are kept.
        """
        own = Pass(photos, changes)
        for group in groups:
            features, positions, failures = [], [], []
            for position in map(int, group):
                row = photos.rows[position]
                known = changes is None and self._pass_of_row[row] >= 0
                of = self._passes[self._pass_of_row[row]] if known else own
                at = int(self._position_of_row[row]) if known else position
                piece = self._piece_in_memory(of, at // PIECE)
                if at in piece.failures:
                    failures.append(piece.failures[at])
                else:
                    features.append(piece.features[int(np.searchsorted(piece.positions, at))])
                    positions.append(position)
            chosen = np.array(positions, dtype=np.int64)
            yield Batch(
                pixels=torch.stack(features) if features else torch.empty(0),
                labels=torch.from_numpy(photos.labels[chosen]),
                positions=chosen,
                unreadable=tuple(failures),
            )

    def inputs(self, pixels: Tensor, *, positions: NDArray[np.int64], changes: RandomChanges | None = None) -> Tensor:
        """Embeddings (N, F) on the device: the random changes were made before they were computed."""
        del positions, changes
        return self.loader.device.send(pixels)

    def _piece_in_memory(self, of: Pass, number: int) -> Piece:
        key = (of, number)
        if key not in self._held:
            self._held[key] = self.piece(of, number)
            while len(self._held) > HELD_PIECES:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]

    @torch.no_grad()
    def _computed(self, of: Pass, numbers: Sequence[int]) -> Iterator[Piece]:
        """Compute and write pieces, one after the other."""
        if not numbers:
            return
        groups = [
            (number, positions[begin : begin + self._batch])
            for number in numbers
            for positions in [of.positions(number)]
            for begin in range(0, len(positions), self._batch)
        ]
        batches = self.loader.batches(of.photos, groups=[group for _, group in groups], changes=of.changes)
        training = self.network.training
        self.network.eval()
        try:
            for number, found in itertools.groupby(zip(groups, batches, strict=True), key=lambda pair: pair[0][0]):
                piece = self._joined(of, ((group, batch) for (_, group), batch in found))
                for reason in piece.failures.values():
                    self._reporter.info(f"skipped an unreadable photograph, {reason}")
                write_piece(self.file(of, number), piece, begin=number * PIECE)
                yield piece
        finally:
            self.network.train(training)

    def _joined(self, of: Pass, found: Iterable[tuple[NDArray[np.int64], Batch]]) -> Piece:
        """The embeddings of some batches together."""
        features = [torch.empty(0, self.network.head.in_features)]
        places = [np.empty(0, np.int64)]
        failures: dict[int, str] = {}
        for group, batch in found:
            if self._stop.is_set():
                raise InterruptedTrainingError("interrupted while computing features; run again to go on from there")
            lost = np.setdiff1d(group, batch.positions, assume_unique=True)
            failures |= dict(zip(lost.tolist(), batch.unreadable, strict=True))
            if not len(batch.positions):
                continue
            inputs = self.loader.inputs(batch.pixels, positions=batch.positions, changes=of.changes)
            with self.loader.device.autocast():
                pooled = self.network.features(inputs)
            pooled = pooled.float().cpu()
            finite = pooled.isfinite().all(1).numpy()
            for position in batch.positions[~finite].tolist():
                failures[position] = f"{of.photos.photo_ids[position]}: its features are not finite numbers"
            features.append(pooled[torch.from_numpy(finite)])
            places.append(batch.positions[finite])
        return Piece(torch.cat(features), np.concatenate(places), failures)

    def _hash(self) -> str:
        network, device = self.network, self.loader.device
        shape = network.spec.model_dump(exclude={*NO_FEATURES})
        computed = (device.device.type, device.dtype, torch.are_deterministic_algorithms_enabled(), self._batch)
        libraries = tuple(library.__version__ for library in (torch, timm, simplejpeg))
        found = hashlib.sha256(repr((libraries, shape, computed, network.begun)).encode())
        for key, tensor in network.state_dict().items():
            if not key.startswith(NO_HEAD):
                found.update(key.encode() + tensor.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def file(self, of: Pass, number: int) -> Path:
        """Where a piece is kept, named by everything that decides it.

        Raises:
            InterruptedTrainingError: the event to stop was set.
        """
        key = (of, number)
        if key not in self._files:
            if self._stop.is_set():
                raise InterruptedTrainingError("interrupted before computing features; run again to go on from there")
            changes = of.changes
            decided = hashlib.sha256(repr((self.name, changes.augmentation if changes else None)).encode())
            for position in of.positions(number):
                decided.update(hashlib.sha256(self.loader.pack.jpeg(int(of.photos.rows[position]))).digest())
                if changes is not None:
                    decided.update(changes.draws(int(position)).tobytes())
            self._files[key] = self.folder / f"{decided.hexdigest()}.safetensors"
        return self._files[key]


def write_piece(file: Path, piece: Piece, *, begin: int) -> None:
    """Write a piece whose first photograph is at the position `begin`."""
    write_shared(
        file,
        {"features": piece.features.contiguous(), "positions": torch.from_numpy(piece.positions - begin)},
        metadata={"failures": json.dumps({str(at - begin): why for at, why in piece.failures.items()})},
    )


def read_piece(file: Path, *, begin: int) -> Piece | None:
    """The piece of `file`, whose first photograph is at the position `begin`; None where it is missing or cut off."""
    try:
        with safe_open(file, framework="pt") as stream:
            # Read from the file now, not page by page from a mapped file.
            features, places = stream.get_tensor("features").clone(), stream.get_tensor("positions").clone()
            failures = json.loads(stream.metadata()["failures"])
        file.touch()
    except (OSError, KeyError, TypeError, SafetensorError):
        return None
    return Piece(features, places.numpy() + begin, {int(at) + begin: why for at, why in failures.items()})
