"""One step of training: a batch in parts, over all processes, with gradients weighted by photographs.

Which batch comes when, checkpoints, and what to do about a loss that is not finite belong to `ml.training.loop`.
"""

import contextlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ml.devices import Fetched
from ml.images import augmentation as augment
from ml.images import loader as data
from ml.training.job import Job, seed_of


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What one step came to, over all processes."""

    step: int
    losses: tuple[float, ...]
    """For each process the sum of the losses of its photographs."""
    correct: int
    photos: int
    unreadable: int
    stop: bool
    """Whether a process was asked to end before the step."""
    save: bool
    """Whether a checkpoint was due before the step."""


class Outcome:
    """A step that the device may still be computing."""

    def __init__(self, numbers: Tensor, *, step: int) -> None:
        """Of `step`; `numbers` are correct, photos, unreadable, stop, save, and each process's loss, as float64."""
        self._numbers, self._step = Fetched(numbers), step

    def read(self) -> Tally:
        """Wait for the step's end."""
        correct, photos, unreadable, stop, save, *losses = self._numbers.read()
        return Tally(
            step=self._step,
            losses=tuple(losses),
            correct=int(correct),
            photos=int(photos),
            unreadable=int(unreadable),
            stop=stop > 0,
            save=save > 0,
        )


class Steps:
    """Takes one step of the optimiser per batch.

    A batch is shared out over the processes, and each share is computed in `job.accumulate` parts. Gradients are
    averaged over photographs, not over parts or processes: the step is the one of the whole batch up to rounding,
    whatever the parts' sizes and however many photographs are unreadable. Two things do depend on the parts: batch
    norms in training mode normalise each part by its own statistics, and dropout draws part by part.
    """

    def __init__(self, *, job: Job, model: nn.Module, optimiser: Optimizer, scaler: torch.amp.GradScaler) -> None:
        """Train `model` (`ml.training.loop.objective`)."""
        self.job, self.model, self.optimiser, self.scaler = job, model, optimiser, scaler

    def take(self, batch: data.Batch, *, step: int, draws: augment.Draws, stop: bool, save: bool) -> Outcome:
        """Update the weights; on a GPU this returns before the GPU is done.

        Args:
            batch: This process's share.
            step: Steps done before.
            draws: The epoch's random numbers.
            stop: Told to all processes with the outcome.
            save: Likewise.
        """
        job = self.job
        # Dropout draws from the global generator: seeding by step makes it independent of where a run began.
        torch.manual_seed(seed_of(job.seed, step, job.device.rank))
        count = len(batch.positions)
        numbers = torch.zeros(5 + job.device.world, dtype=torch.float64)
        numbers[1:5] = torch.tensor([count, len(batch.unreadable), stop, save])
        numbers = job.device.send(numbers)
        self.optimiser.zero_grad(set_to_none=True)
        everywhere = job.device.add_up(numbers[1].clone())
        if count:
            self._backward(batch, draws=draws, everywhere=everywhere, numbers=numbers)
        elif job.device.world > 1:
            self._backward_with_the_others()
        if count or job.device.world > 1:
            self.scaler.step(self.optimiser)
            self.scaler.update()
        return Outcome(job.device.add_up(numbers), step=step)

    def _backward(self, batch: data.Batch, *, draws: augment.Draws, everywhere: Tensor, numbers: Tensor) -> None:
        job = self.job
        random = np.stack([draws.of(int(index)) for index in batch.positions])
        labels = job.device.send(batch.labels)
        count = len(random)
        parts = [part for part in np.array_split(np.arange(count), job.accumulate) if len(part)]
        for part in parts:
            chosen = slice(int(part[0]), int(part[-1]) + 1)
            together: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
            if isinstance(self.model, DistributedDataParallel) and part is not parts[-1]:
                together = self.model.no_sync()
            with together:
                pixels = self.inputs(batch.pixels[chosen], random=random[chosen])
                with job.device.autocast():
                    loss, logits = self.model(pixels, labels[chosen])
                # The processes' gradients are averaged: what counts is this part's share of all photographs.
                self.scaler.scale(loss * (job.device.world * len(part) / everywhere)).backward()
            with torch.no_grad():
                numbers[0] += (logits.argmax(1) == labels[chosen]).sum()
                numbers[5 + job.device.rank] += loss.detach() * len(part)

    def inputs(self, pixels: Tensor, *, random: np.typing.NDArray[np.float64]) -> Tensor:
        """Bytes (N, views, H, W, 3) as the network takes them: on the device, colours changed, standardised.

        Features of frozen layers are passed on as they are.
        """
        if self.job.frozen is not None:
            return self.job.device.send(pixels)
        spec, device = self.job.network.spec, self.job.device
        changed = augment.change_colours(device.pixels(pixels), draws=random, augmentation=self.job.recipe.augmentation)
        return data.standardise(changed, spec.mean, spec.std)

    def _backward_with_the_others(self) -> None:
        """Take part in a step without photographs of one's own: the other processes wait for our gradients."""
        spec, device = self.job.network.spec, self.job.device
        norms = [
            module
            for module in self.model.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
            and module.training
            # These wait for the other processes' statistics, which must not wait in vain.
            and not isinstance(module, nn.SyncBatchNorm)
        ]
        for norm in norms:
            norm.eval()
        blank = torch.zeros(2, len(spec.views), 3, spec.image_size, spec.image_size, device=device.device)
        with device.autocast():
            loss, _ = self.model(blank, torch.zeros(2, dtype=torch.int64, device=device.device))
        self.scaler.scale(loss * 0).backward()
        for norm in norms:
            norm.train()
