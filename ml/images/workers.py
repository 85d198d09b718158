"""Decoding in processes of their own, beyond the interpreter's lock: torch's DataLoader over whole batches.

Each batch is one item, so that their order is that of one process. A worker gets the folder of the pack and, with each
batch, where its photographs are and how they are changed: workers outlive epochs, and hold no state of any.
"""

import multiprocessing
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ml.errors import DataError, LoaderError
from ml.images.decoding import Decoder, Group

SHARED: Final = Path("/dev/shm")  # noqa: S108 (where Linux keeps shared memory)
AHEAD: Final = 2
"""Batches of each worker that are decoded, or being decoded, before they are asked for."""
_MIB: Final = 2**20


class Decoded(NamedTuple):
    """What a worker made of a batch."""

    pixels: Tensor
    """Bytes (views, N, H, W, 3)."""
    failures: list[str | None]
    """For each photograph, why it could not be decoded."""
    broken: str | None
    """Why the pack cannot be read, if it cannot."""


class _Batches(Dataset[Decoded]):
    """Batches by what they are made of."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def __getitem__(self, group: Group) -> Decoded:
        shape = self._decoder.shape(len(group.positions))
        # What is decoded here is read by another process: no copy between the two.
        pixels = torch.empty(shape, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
        try:
            failures = [decode() for decode in self._decoder.work(group, pixels.numpy())]
        except DataError as error:
            return Decoded(torch.empty(0, dtype=torch.uint8), [], str(error))
        return Decoded(pixels, failures, None)


class _Asked:
    """The batches of the running pass, in order."""

    def __init__(self) -> None:
        self.groups: Iterator[Group] = iter(())

    def __iter__(self) -> Iterator[Group]:
        return self.groups


class Workers:
    """Processes that decode batches, for any number of passes, one pass at a time.

    They are forked from a server process that never saw a GPU, and end with this object, or with this process, however
    it ends. Keyboard interrupts are left to this process.
    """

    def __init__(self, decoder: Decoder, *, count: int, pinned: bool) -> None:
        """Prepare `count` processes; they start with the first pass.

        Args:
            decoder: What they do.
            count: How many, at least one.
            pinned: Copy batches to pinned memory, from which a GPU copies while it computes.
        """
        self._decoder, self._count = decoder, count
        context = multiprocessing.get_context("forkserver")
        # What the workers need is imported once, and its memory shared.
        context.set_forkserver_preload([__name__])
        self._asked = _Asked()
        self._batches: DataLoader[Decoded] = DataLoader(
            _Batches(decoder),
            batch_size=None,
            sampler=self._asked,
            num_workers=count,
            prefetch_factor=AHEAD,
            persistent_workers=True,
            pin_memory=pinned,
            worker_init_fn=_leave_interrupts,
            multiprocessing_context=context,
        )
        self._pass = 0

    def decoded(self, groups: Iterator[Group], *, largest: int) -> Iterator[Decoded]:
        """The batches in order.

        Args:
            groups: What they are made of; read a few batches ahead.
            largest: Photographs of the largest batch.

        Raises:
            LoaderError: a worker was killed, or there is too little shared memory.
            DataError: the pack is missing or shorter than its index says.
        """
        self._check_shared_memory(largest)
        self._pass += 1
        current, self._asked.groups = self._pass, groups
        try:
            for batch in self._batches:
                if batch.broken is not None:
                    raise DataError(batch.broken)
                yield batch
                if current != self._pass:
                    raise LoaderError("another pass over photographs began before this one had ended")
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise LoaderError(
                f"a process that decodes photographs was killed ({error}); the machine may be out of memory, or "
                f"{SHARED} full: lower training.workers"
            ) from error

    def _check_shared_memory(self, largest: int) -> None:
        """A worker that writes to shared memory beyond its size is killed without a word: look before."""
        views, photos, height, width, channels = self._decoder.shape(largest)
        # One more batch is being copied, and one may be held by the consumer.
        needed = (AHEAD * self._count + 2) * views * photos * height * width * channels
        if SHARED.is_dir() and (free := shutil.disk_usage(SHARED).free) < needed:
            raise LoaderError(
                f"{SHARED} has {free // _MIB} MiB left, and {self._count} processes that decode photographs need "
                f"{-(-needed // _MIB)}: give the container more (docker run --shm-size, in Kubernetes an emptyDir of "
                "medium Memory there), or lower training.workers"
            )


def _leave_interrupts(worker: int) -> None:
    """Ctrl-C and torchrun's end reach whole groups of processes: the training ends its workers when it has done."""
    del worker
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
