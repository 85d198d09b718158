"""Batches of photographs in an order that a resumed training repeats, decoded in threads ahead of their use.

Which photographs there are is in `ml.images.pack`, how they are cut in `ml.images.views`, how training changes them at
random in `ml.images.augmentation`.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.devices import Device
from ml.errors import PhotoError
from ml.images.augmentation import RandomChanges
from ml.images.pack import Pack, Photos
from ml.images.views import CENTRE, Box, decode, standardise, view_boxes


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.intp]:
    """A permutation of `count` positions that depends on seed and epoch only, so that a resumed run repeats it."""
    return np.random.default_rng((seed, epoch)).permutation(count)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Decoded photographs, not yet standardised."""

    pixels: Tensor
    """Bytes (N, views, H, W, 3). In memory all photographs' first views come first, as networks run them."""
    labels: Tensor
    """Class ids (N)."""
    positions: NDArray[np.int64]
    """Positions within the `Photos` that were asked for, without the unreadable ones."""
    unreadable: tuple[str, ...]
    """Identifiers of photographs that could not be decoded, each with the reason."""


class Shown(Protocol):
    """What a network is shown of a photograph; `ml.networks.description.NetworkSpec` says it."""

    @property
    def views(self) -> tuple[float, ...]:
        """Share of each side that each view shows."""

    @property
    def image_size(self) -> int:
        """Side of a view in pixels."""

    @property
    def mean(self) -> tuple[float, float, float]:
        """What is subtracted from each channel in [0, 1]."""

    @property
    def std(self) -> tuple[float, float, float]:
        """What each channel is then divided by."""


class Loader:
    """Photographs of one pack as one network takes them: in batches of bytes, then as numbers on its device."""

    def __init__(
        self, pack: Pack, shown: Shown, *, device: Device, workers: int, boxes: Sequence[Box] | None = None
    ) -> None:
        """Load from `pack`.

        Args:
            pack: Where the bytes are.
            shown: What the network is shown.
            device: Where the network runs.
            workers: Decoding threads; 0 decodes in the calling thread.
            boxes: The parts of a photograph where nothing is drawn at random; None: the views of its centre.
        """
        self.boxes = view_boxes(CENTRE, views=shown.views) if boxes is None else list(boxes)
        self.pack, self.shown, self.device, self.workers = pack, shown, device, workers

    def batches(
        self,
        photos: Photos,
        *,
        groups: Sequence[NDArray[np.intp]],
        changes: RandomChanges | None = None,
        ahead: int = 3,
    ) -> Iterator[Batch]:
        """Decode `groups` of positions in order, in threads, a few batches ahead of the consumer.

        An unreadable photograph leaves its batch and is named in it: one bad file must not end a night's work.

        Args:
            photos: Where the positions point to.
            groups: Positions in `photos`, one array per batch.
            changes: Random crops; without them, the parts `boxes`.
            ahead: Batches decoded before they are asked for.
        """

        def one(position: int, pixels: NDArray[np.uint8]) -> str | None:
            """Decode into `pixels`; returns why that cannot be."""
            boxes = view_boxes(changes.box(position), views=self.shown.views) if changes else self.boxes
            try:
                jpeg = self.pack.jpeg(int(photos.rows[position]))
                decode(jpeg, boxes=boxes, image_size=self.shown.image_size, out=pixels)
            except PhotoError as error:
                return f"{photos.photo_ids[position]}: {error}"
            return None

        parts = len(self.shown.views) if changes else len(self.boxes)
        if self.workers == 0:
            for group in groups:
                pixels = self._buffer(len(group), parts=parts)
                yield _batch(group, pixels, map(one, group.tolist(), pixels.numpy()), photos=photos)
            return
        with ThreadPoolExecutor(max_workers=self.workers, thread_name_prefix="decode") as pool:
            waiting: deque[tuple[NDArray[np.intp], Tensor, Iterator[str | None]]] = deque()
            try:
                for group in groups:
                    pixels = self._buffer(len(group), parts=parts)
                    waiting.append((group, pixels, pool.map(one, group.tolist(), pixels.numpy())))
                    if len(waiting) > ahead:
                        yield _batch(*waiting.popleft(), photos=photos)
                while waiting:
                    yield _batch(*waiting.popleft(), photos=photos)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def inputs(self, pixels: Tensor, *, positions: NDArray[np.int64], changes: RandomChanges | None = None) -> Tensor:
        """A batch, or a part of one, as the network takes it.

        Args:
            pixels: Bytes (N, views, H, W, 3) of `batches`.
            positions: Their positions in the `Photos` (N).
            changes: Random colours; those that the crops of `batches` were drawn with.

        Returns:
            Standardised numbers (N, views, 3, H, W) on the device.
        """
        scaled = self.device.pixels(pixels)
        if changes is not None:
            scaled = changes.colours(scaled, positions=positions)
        return standardise(scaled, self.shown.mean, self.shown.std)

    def _buffer(self, photos: int, *, parts: int) -> Tensor:
        """Memory for the bytes of a batch; from pinned memory a GPU copies by itself, while it computes."""
        shape = (parts, photos, self.shown.image_size, self.shown.image_size, 3)
        return torch.empty(shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available()).transpose(0, 1)


def _batch(group: NDArray[np.intp], pixels: Tensor, results: Iterator[str | None], *, photos: Photos) -> Batch:
    """The batch, once all its photographs are decoded, without those that cannot be."""
    positions, failures = np.asarray(group, dtype=np.int64), list(results)
    if any(failures):
        good = [index for index, failure in enumerate(failures) if failure is None]
        positions = positions[good]
        pixels = pixels.transpose(0, 1)[:, good].transpose(0, 1)
    return Batch(
        pixels=pixels,
        labels=torch.from_numpy(photos.labels[positions]),
        positions=positions,
        unreadable=tuple(failure for failure in failures if failure is not None),
    )
