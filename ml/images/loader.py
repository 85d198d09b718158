"""Batches of photographs in an order that a resumed training repeats, decoded ahead of their use.

Which photographs there are is in `ml.images.pack`, what is made of one in `ml.images.decoding`, how training changes
them at random in `ml.images.augmentation`, processes for it in `ml.images.workers`.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.devices import Device
from ml.images.augmentation import RandomChanges, key
from ml.images.decoding import Decoder, Group
from ml.images.pack import Pack, Photos
from ml.images.views import Box, standardise
from ml.images.workers import Workers


def epoch_order(count: int, *, seed: int, stage: str, epoch: int) -> NDArray[np.intp]:
    """A permutation of `count` positions that depends on seed, stage and epoch only: a resumed run repeats it."""
    return np.random.default_rng(key(seed=seed, stage=stage, epoch=epoch)).permutation(count)


def default_workers() -> int:
    """Decoding workers of one training process: its share of the cores that it may use, less one for itself."""
    # `os.sched_getaffinity` is Linux's; the number of processes on this machine is torchrun's.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Decoded photographs, not yet standardised."""

    pixels: Tensor
    """Bytes (N, parts, H, W, 3). In memory all photographs' first parts come first, as networks run them."""
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
    """Photographs of one pack as one network takes them: in batches of bytes, then as numbers on its device.

    With a GPU they are decoded in processes, which wait neither for one another nor for the training's own Python; on a
    processor in threads, which cost less memory and no start.
    """

    def __init__(
        self,
        pack: Pack,
        shown: Shown,
        *,
        device: Device,
        workers: int | None,
        processes: bool | None = None,
        boxes: Sequence[Box] | None = None,
    ) -> None:
        """Load from `pack`.

        Args:
            pack: Where the bytes are.
            shown: What the network is shown.
            device: Where the network runs.
            workers: How many decode; 0 decodes in the calling thread, None takes `default_workers`.
            processes: Whether workers are processes; None: where the network runs on a GPU.
            boxes: The parts of a photograph where nothing is drawn at random; None: the views of its centre.
        """
        self.pack, self.shown, self.device, self.boxes = pack, shown, device, boxes
        self.workers = default_workers() if workers is None else workers
        self._pinned = device.device.type == "cuda"
        self._processes = self._pinned if processes is None else processes

    def batches(
        self,
        photos: Photos,
        *,
        groups: Sequence[NDArray[np.intp]],
        changes: RandomChanges | None = None,
        ahead: int = 3,
    ) -> Iterator[Batch]:
        """Decode `groups` of positions in order, a few batches ahead of the consumer; one pass at a time.

        An unreadable photograph leaves its batch and is named in it: one bad file must not end a night's work.

        Args:
            photos: Where the positions point to.
            groups: Positions in `photos`, one array per batch.
            changes: Random crops; without them, the parts `boxes`.
            ahead: Batches that threads decode before they are asked for; processes: `ml.images.workers.AHEAD` each.

        Raises:
            DataError: the pack is missing or shorter than its index says.
            LoaderError: a worker was killed, or there is too little shared memory.
        """
        wanted = (self._group(group, photos=photos, changes=changes) for group in groups)
        if self.workers and self._processes:
            decoded = self._workers.decoded(wanted, largest=max(map(len, groups), default=0))
            for positions, batch in zip(groups, decoded, strict=True):
                yield _batch(positions, batch.pixels, batch.failures, photos=photos)
        elif self.workers == 0:
            for group in wanted:
                pixels = self._buffer(group)
                failures = [decode() for decode in self._decoder.work(group, pixels.numpy())]
                yield _batch(group.positions, pixels, failures, photos=photos)
        else:
            yield from self._by_threads(wanted, photos=photos, ahead=ahead)

    def inputs(self, pixels: Tensor, *, positions: NDArray[np.int64], changes: RandomChanges | None = None) -> Tensor:
        """A batch, or a part of one, as the network takes it.

        Args:
            pixels: Bytes (N, parts, H, W, 3) of `batches`.
            positions: Their positions in the `Photos` (N).
            changes: Random colours; those that the crops of `batches` were drawn with.

        Returns:
            Standardised numbers (N, parts, 3, H, W) on the device.
        """
        scaled = self.device.pixels(pixels)
        if changes is not None:
            scaled = changes.colours(scaled, positions=positions)
        return standardise(scaled, self.shown.mean, self.shown.std)

    @cached_property
    def _decoder(self) -> Decoder:
        shown = self.shown
        return Decoder(self.pack.files.folder, views=shown.views, image_size=shown.image_size, boxes=self.boxes)

    @cached_property
    def _workers(self) -> Workers:
        return Workers(self._decoder, count=self.workers, pinned=self._pinned)

    def _by_threads(self, groups: Iterator[Group], *, photos: Photos, ahead: int) -> Iterator[Batch]:
        # torch's own threads would fight with these for the cores; the setting is a thread's own.
        with ThreadPoolExecutor(
            max_workers=self.workers, thread_name_prefix="decode", initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            waiting: deque[tuple[Group, Tensor, Iterator[str | None]]] = deque()

            def first() -> Batch:
                group, pixels, failures = waiting.popleft()
                return _batch(group.positions, pixels, list(failures), photos=photos)

            try:
                for group in groups:
                    pixels = self._buffer(group)
                    waiting.append((group, pixels, pool.map(_call, self._decoder.work(group, pixels.numpy()))))
                    if len(waiting) > ahead:
                        yield first()
                while waiting:
                    yield first()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _group(self, positions: NDArray[np.intp], *, photos: Photos, changes: RandomChanges | None) -> Group:
        places = tuple(self.pack.place(int(row)) for row in photos.rows[positions])
        return Group(positions=np.asarray(positions, dtype=np.int64), places=places, changes=changes)

    def _buffer(self, group: Group) -> Tensor:
        """Memory for the bytes of a batch; from pinned memory a GPU copies by itself, while it computes."""
        shape = self._decoder.shape(len(group.positions), cropped=group.changes is not None)
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._pinned)


def _call(work: Callable[[], str | None]) -> str | None:
    return work()


def _batch(group: NDArray[np.intp], pixels: Tensor, failures: Sequence[str | None], *, photos: Photos) -> Batch:
    """The batch without the photographs that cannot be decoded; `pixels` are (parts, N, H, W, 3)."""
    positions = np.asarray(group, dtype=np.int64)
    if any(failures):
        good = [index for index, failure in enumerate(failures) if failure is None]
        positions, pixels = positions[good], pixels[:, good]
    return Batch(
        pixels=pixels.transpose(0, 1),
        labels=torch.from_numpy(photos.labels[positions]),
        positions=positions,
        unreadable=tuple(failure for failure in failures if failure is not None),
    )
