"""What the frozen first layers of a network make of photographs: computed once for all networks that begin alike.

A pass over photographs is kept in pieces whose names are hashes of all that decides them: the layers' weights, the
photographs' bytes, the crops and the changes of colour. Which photographs come when belongs to `ml.training.loop`.
"""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ml.devices import Device
from ml.errors import InterruptedTrainingError
from ml.files import replacing
from ml.images import augmentation as augment
from ml.images import loader as data
from ml.images.augmentation import Augmentation, Draws
from ml.images.loader import Batch, Pack, Photos
from ml.networks.cuts import run, step_of
from ml.networks.network import Network, steps_of_all_views

PIECE = 64
"""Photographs of one piece. A side always falls into the same pieces: what becomes of a photograph must not depend, if
only in the last digit, on who asked for it first."""
MOST_PHOTOS = 5_000
"""Of a side: a pass over them is held in memory, and each pass lies on disk."""
KEPT_SECONDS = 86_400.0
"""A piece that nobody has read for so long is removed."""


class Piece(NamedTuple):
    """Some photographs, one after another in their side."""

    features: Tensor
    """(N, views, ...) of the readable ones."""
    rows: dict[int, int]
    """Where in `features` a position of the side is."""
    unreadable: dict[int, str]
    """Why a position could not be read."""


class FrozenLayers:
    """The first steps of a network, which training does not change, and what they have made of photographs."""

    def __init__(
        self, network: Network, *, folder: Path, pack: Pack, device: Device, workers: int, stop: threading.Event
    ) -> None:
        """Take the steps that `begun` of `network` counts: it expects their features in the place of pixels.

        Args:
            network: On its device.
            folder: Where pieces are kept; networks may share it, also at the same time.
            pack: Where the photographs are.
            device: Where to compute.
            workers: Decoding threads.
            stop: Set to end early.
        """
        self.network, self.folder, self.pack, self.device, self.workers = network, folder, pack, device, workers
        self._stop = stop
        names = steps_of_all_views(network)[: network.begun]
        self._steps = [step_of(network.backbone, name) for name in names]
        spec = network.spec
        facts = (spec.backbone, spec.image_size, spec.batch_norm_eps, spec.mean, spec.std, device.device, device.dtype)
        layers = hashlib.sha256(repr((torch.__version__, *facts)).encode())
        for key, tensor in network.backbone.state_dict().items():
            if key.startswith(tuple(f"{name}." for name in names)):
                layers.update(key.encode() + tensor.cpu().contiguous().numpy().tobytes())
        self._layers = layers.hexdigest()
        _remove_old(folder)

    def batches(
        self,
        photos: Photos,
        *,
        groups: Sequence[NDArray[np.intp]],
        draws: Draws | None = None,
        augmentation: Augmentation | None = None,
    ) -> Iterator[Batch]:
        """As `ml.images.loader.batches`, with features (N, views, ...) on the processor in the place of pixels.

        Args:
            photos: The side of the split.
            groups: Positions in `photos`, one array per batch.
            draws: The random numbers of the pass, and `augmentation` what they change; None shows the centre as it is.
            augmentation: The ranges of the random changes.

        Raises:
            InterruptedTrainingError: the event to stop was set; the pieces computed so far are kept.
        """
        pieces: dict[int, Piece] = {}

        def one(position: int) -> tuple[Piece, int]:
            number = position // PIECE
            if number not in pieces:
                positions = np.arange(number * PIECE, min((number + 1) * PIECE, len(photos)))
                pieces[number] = self._piece(photos, positions, draws=draws, augmentation=augmentation)
            return pieces[number], position

        for group in groups:
            found = [one(int(position)) for position in group]
            good = [(piece, position) for piece, position in found if position in piece.rows]
            bad = [piece.unreadable[position] for piece, position in found if position in piece.unreadable]
            positions = np.array([position for _, position in good], dtype=np.int64)
            yield Batch(
                pixels=torch.stack([piece.features[piece.rows[position]] for piece, position in good])
                if good
                else torch.empty(0),
                labels=torch.from_numpy(photos.labels[positions]),
                positions=positions,
                unreadable=tuple(bad),
            )

    def _piece(
        self, photos: Photos, positions: NDArray[np.int64], *, draws: Draws | None, augmentation: Augmentation | None
    ) -> Piece:
        """The piece of these positions, from the folder or computed; one without unreadable photographs is kept."""
        if self._stop.is_set():
            raise InterruptedTrainingError("interrupted while computing features; run again to go on from there")
        views = self.network.spec.views
        files = self._files(photos, positions, draws=draws, augmentation=augmentation)
        known = [_read(file) for file in files]
        stored = [features for features in known if features is not None]
        if len(stored) == len(views):
            return Piece(torch.stack(stored, dim=1), {int(at): row for row, at in enumerate(positions)}, {})
        batch, pixels = self._pixels(photos, positions, draws=draws, augmentation=augmentation)
        readable = {int(position): row for row, position in enumerate(batch.positions)}
        lost = [int(position) for position in positions if int(position) not in readable]
        if not readable:
            return Piece(torch.empty(0), readable, dict(zip(lost, batch.unreadable, strict=True)))
        features = []
        for view, (file, old) in enumerate(zip(files, known, strict=True)):
            new = self._run(pixels[:, view]) if old is None or lost else old
            if old is None and not lost:
                with replacing(file) as partial:
                    save_file({"features": new}, partial)
            features.append(new)
        return Piece(torch.stack(features, dim=1), readable, dict(zip(lost, batch.unreadable, strict=True)))

    def _files(
        self, photos: Photos, positions: NDArray[np.int64], *, draws: Draws | None, augmentation: Augmentation | None
    ) -> list[Path]:
        """Where the features of each view are kept, named by all that decides them."""
        decided = hashlib.sha256(repr((self._layers, augmentation if draws else None)).encode())
        for position in positions:
            decided.update(hashlib.sha256(self.pack.jpeg(int(photos.rows[position]))).digest())
            if draws is not None:
                decided.update(draws.of(int(position)).tobytes())
        return [self.folder / f"{decided.hexdigest()}-{view:g}.safetensors" for view in self.network.spec.views]

    def _pixels(
        self, photos: Photos, positions: NDArray[np.int64], *, draws: Draws | None, augmentation: Augmentation | None
    ) -> tuple[Batch, Tensor]:
        """The readable photographs, and their pixels as networks take them."""
        spec = self.network.spec
        (batch,) = data.batches(
            photos,
            pack=self.pack,
            groups=[positions],
            box=lambda index: (
                data.CENTRE
                if draws is None or augmentation is None
                else augment.crop_box(draws.of(index), augmentation=augmentation)
            ),
            views=spec.views,
            image_size=spec.image_size,
            workers=self.workers,
        )
        pixels = self.device.pixels(batch.pixels)
        if draws is not None and augmentation is not None and len(batch.positions):
            numbers = np.stack([draws.of(int(index)) for index in batch.positions])
            pixels = augment.change_colours(pixels, draws=numbers, augmentation=augmentation)
        return batch, data.standardise(pixels, spec.mean, spec.std)

    @torch.no_grad()
    def _run(self, pixels: Tensor) -> Tensor:
        modules = [step for step in self._steps if isinstance(step, nn.Module)]
        training = [module.training for module in modules]
        for module in modules:
            module.eval()
        with self.device.autocast():
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


def _remove_old(folder: Path) -> None:
    oldest = time.time() - KEPT_SECONDS
    for file in folder.glob("*.safetensors"):
        # Another training may tidy up at the same time.
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < oldest:
                file.unlink()
