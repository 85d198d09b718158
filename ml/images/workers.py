"""Decoding in processes of their own, beyond the interpreter's lock: torch's DataLoader over whole batches.

Each batch is one item, so that their order is that of one process. A worker gets the folder of the pack and, with each
batch, where its photographs are and how they are changed: workers outlive epochs, and hold no state of any.
"""

import atexit
import math
import multiprocessing
import os
import shutil
import signal
import threading
import weakref
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any, Final, NamedTuple

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
    """Bytes (parts, N, H, W, 3)."""
    failures: list[str | None]
    """For each photograph, why it could not be decoded."""
    broken: str | None
    """Why the pack cannot be read, if it cannot."""


class _Batches(Dataset[Decoded]):
    """Batches by what they are made of."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def __getitem__(self, group: Group) -> Decoded:
        shape = self._decoder.shape(len(group.positions), cropped=group.changes is not None)
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
        # What is blocked when the server starts is blocked in all that it forks, from their first instruction on. The
        # tracker, which it starts otherwise, would unblock it.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        forkserver.ensure_running()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._asked = _Asked()
        self._batches: DataLoader[Decoded] = DataLoader(
            _Batches(decoder),
            batch_size=None,
            sampler=self._asked,
            num_workers=count,
            prefetch_factor=AHEAD,
            persistent_workers=True,
            pin_memory=pinned,
            worker_init_fn=_depend_on_training,
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
            batches = iter(self._batches)
            if current == 1:
                # Where something still holds this object at the end: without it torch waits five seconds per worker.
                atexit.register(_end, weakref.ref(batches))
            for batch in batches:
                if batch.broken is not None:
                    raise DataError(batch.broken)
                yield batch
                if current != self._pass:
                    raise LoaderError("another pass over photographs began before this one had ended")
        except (RuntimeError, OSError, EOFError) as error:
            # torch tells of a dead worker, or what a dead worker was to send cannot be received.
            raise LoaderError(
                f"a process that decodes photographs was killed ({error}); the machine may be out of memory, or "
                f"{SHARED} full: lower training.workers"
            ) from error

    def _check_shared_memory(self, largest: int) -> None:
        """A worker that writes to shared memory beyond its size is killed without a word: look before."""
        size = max(math.prod(self._decoder.shape(largest, cropped=cropped)) for cropped in (False, True))
        # One more batch is being copied, and one may be held by the consumer.
        needed = (AHEAD * self._count + 2) * size
        if SHARED.is_dir() and (free := shutil.disk_usage(SHARED).free) < needed:
            raise LoaderError(
                f"{SHARED} has {free // _MIB} MiB left, and {self._count} processes that decode photographs need "
                f"{-(-needed // _MIB)}: give the container more (docker run --shm-size, in Kubernetes an emptyDir of "
                "medium Memory there), or lower training.workers"
            )


def _end(batches: weakref.ref[Any]) -> None:
    running = batches()
    if running is not None:
        running._shutdown_workers()


def _depend_on_training(worker: int) -> None:
    """End a worker with its training, however that ends, and only then.

    The training ends its workers itself, when it has written its state: torchrun would end the whole group before. As
    long as a worker lives its server does, so that a worker whose training was killed cannot tell by its own parent.
    """
    del worker
    os.setpgrp()
    threading.Thread(target=_end_with_training, name="watch-training", daemon=True).start()


def _end_with_training() -> None:
    training = multiprocessing.parent_process()
    if training is not None:
        training.join()
        os._exit(1)
