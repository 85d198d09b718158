"""What the frozen first layers of a network make of photographs: computed once for all networks that begin alike.

One pass over photographs is kept in pieces, one file for each view. Their names are hashes of all that decides their
content: the layers with their weights, the photographs' bytes, the crops and the changes of colour, and the libraries
that compute. The other views of the network decide nothing (`ml.images.views.decode`), so networks of one and of
several views share the whole view, and none depends on which of them ran first.
"""

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
import timm
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.devices import Device
from ml.errors import InterruptedTrainingError
from ml.files import replacing
from ml.images.augmentation import RandomChanges
from ml.images.loader import Batch, Loader
from ml.images.pack import Pack, Photos
from ml.networks.cuts import run, step_of
from ml.networks.network import Network
from ml.networks.trainable import steps_of_all_views

PIECE = 64
"""Photographs of one piece. A side of the split is always divided in the same way: in other batches the last digits of
the features would be others."""
MOST_PHOTOS = 5_000
"""Of one side of the split: the features of a pass are held in memory, and those of every pass are on disk."""
KEPT_SECONDS = 86_400.0
"""A piece that was not read for this time is removed."""


class Piece(NamedTuple):
    """Features of some photographs that follow one another in their side of the split."""

    features: Tensor
    """(N, views, ...) of the readable ones."""
    rows: dict[int, int]
    """The row of `features` for each position of the side."""
    unreadable: dict[int, str]
    """Why a position could not be read."""


class FrozenLayers:
    """The first steps of a network, which training does not change, and the features that they give.

    `batches` and `inputs` take the place of those of `ml.images.loader.Loader`.
    """

    def __init__(self, network: Network, *, loader: Loader, folder: Path, stop: threading.Event) -> None:
        """Take the first steps of `network`, as many as its `begun` says.

        Args:
            network: On its device; it takes the features of these steps in the place of pixels.
            loader: Gives photographs as the network takes them.
            folder: Where pieces are kept; networks may share it, also at the same time.
            stop: Set to end early.
        """
        self._views, self._loader, self._folder, self._stop = network.spec.views, loader, folder, stop
        names = steps_of_all_views(network)[: network.begun]
        self._steps = [step_of(network.backbone, name) for name in names]
        spec, device = network.spec, loader.device
        # On a GPU, kernels that repeat themselves are others than the fastest ones.
        computed = (device.device, device.dtype, torch.are_deterministic_algorithms_enabled())
        facts = (spec.backbone, spec.image_size, spec.batch_norm_eps, spec.mean, spec.std, names, *computed)
        libraries = tuple(library.__version__ for library in (torch, timm, simplejpeg))
        layers = hashlib.sha256(repr((libraries, *facts)).encode())
        for key, tensor in network.backbone.state_dict().items():
            # What belongs to no layer, as a position embedding, is used by steps that are methods.
            if "." not in key or key.startswith(tuple(f"{name}." for name in names)):
                layers.update(key.encode() + tensor.cpu().contiguous().numpy().tobytes())
        self._layers = layers.hexdigest()
        remove_old(folder, seconds=KEPT_SECONDS)

    @property
    def device(self) -> Device:
        """Where the network runs."""
        return self._loader.device

    @property
    def pack(self) -> Pack:
        """Where the photographs' bytes are."""
        return self._loader.pack

    def batches(
        self, photos: Photos, *, groups: Sequence[NDArray[np.intp]], changes: RandomChanges | None = None
    ) -> Iterator[Batch]:
        """Batches of features (N, views, ...) on the processor, in the place of pixels.

        Args:
            photos: One side of the split.
            groups: Positions in `photos`, one array per batch.
            changes: Random crops and colours; without them, the central part as it is.

        Raises:
            InterruptedTrainingError: the event to stop was set; the pieces computed so far are kept.
        """
        pieces: dict[int, Piece] = {}

        def one(position: int) -> tuple[Piece, int]:
            number = position // PIECE
            if number not in pieces:
                positions = np.arange(number * PIECE, min((number + 1) * PIECE, len(photos)))
                pieces[number] = self._piece(photos, positions, changes=changes)
            return pieces[number], position

        for group in groups:
            found = [one(int(position)) for position in group]
            good = [(piece, position) for piece, position in found if position in piece.rows]
            positions = np.array([position for _, position in good], dtype=np.int64)
            yield Batch(
                pixels=torch.stack([piece.features[piece.rows[position]] for piece, position in good])
                if good
                else torch.empty(0),
                labels=torch.from_numpy(photos.labels[positions]),
                positions=positions,
                unreadable=tuple(piece.unreadable[at] for piece, at in found if at in piece.unreadable),
            )

    def inputs(self, pixels: Tensor, *, positions: NDArray[np.int64], changes: RandomChanges | None = None) -> Tensor:
        """Features (N, views, ...) on the device: the random changes were made before they were computed."""
        del positions, changes
        return self._loader.device.send(pixels)

    def _piece(self, photos: Photos, positions: NDArray[np.int64], *, changes: RandomChanges | None) -> Piece:
        """The piece of these positions, from the folder or computed; one with unreadable photographs is not kept."""
        if self._stop.is_set():
            raise InterruptedTrainingError("interrupted while computing features; run again to go on from there")
        files = self._files(photos, positions, changes=changes)
        known = [_read(file) for file in files]
        stored = [features for features in known if features is not None]
        if len(stored) == len(files):
            return Piece(torch.stack(stored, dim=1), {int(at): row for row, at in enumerate(positions)}, {})
        (batch,) = self._loader.batches(photos, groups=[positions], changes=changes)
        readable = {int(position): row for row, position in enumerate(batch.positions)}
        lost = [int(position) for position in positions if int(position) not in readable]
        unreadable = dict(zip(lost, batch.unreadable, strict=True))
        if not readable:
            return Piece(torch.empty(0), readable, unreadable)
        pixels = self._loader.inputs(batch.pixels, positions=batch.positions, changes=changes)
        features = []
        for view, (file, old) in enumerate(zip(files, known, strict=True)):
            new = self._run(pixels[:, view]) if old is None or lost else old
            if old is None and not lost:
                write_shared(file, {"features": new})
            features.append(new)
        return Piece(torch.stack(features, dim=1), readable, unreadable)

    def _files(self, photos: Photos, positions: NDArray[np.int64], *, changes: RandomChanges | None) -> list[Path]:
        """Where the features of each view are kept, named by everything that decides them.

        Colours are changed about the mean of the whole view, which every network has.
        """
        decided = hashlib.sha256(repr((self._layers, changes.augmentation if changes else None)).encode())
        for position in positions:
            decided.update(hashlib.sha256(self._loader.pack.jpeg(int(photos.rows[position]))).digest())
            if changes is not None:
                decided.update(changes.draws(int(position)).tobytes())
        return [self._folder / f"{decided.hexdigest()}-{view!r}.safetensors" for view in self._views]

    @torch.no_grad()
    def _run(self, pixels: Tensor) -> Tensor:
        modules = [step for step in self._steps if isinstance(step, nn.Module)]
        training = [module.training for module in modules]
        for module in modules:
            module.eval()
        with self._loader.device.autocast():
            features = run(self._steps, pixels)
        for module, before in zip(modules, training, strict=True):
            module.train(before)
        return features.cpu().contiguous()


def _read(file: Path) -> Tensor | None:
    """The features that `file` holds; None where it is missing, or was cut off by a crash."""
    try:
        features: Tensor = load_file(file)["features"]
        file.touch()
    except (OSError, KeyError, SafetensorError):
        return None
    return features


def write_shared(path: Path, tensors: dict[str, Tensor], *, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file that other processes may be writing, too; the one that ends last replaces the others'.

    `ml.files.replacing` alone is for files that one process writes.
    """
    own = path.with_name(f"{path.stem}.{socket.gethostname()}.{os.getpid()}{path.suffix}")
    with replacing(own) as partial:
        save_file(tensors, partial, metadata=metadata)
    own.replace(path)


def remove_old(folder: Path, *, seconds: float) -> None:
    """Remove features that were not read for so long, and what killed processes left half written."""
    oldest = time.time() - seconds
    for file in (*folder.glob("*.safetensors"), *folder.glob(".*.partial")):
        # Another training may tidy up at the same time.
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < oldest:
                file.unlink()
