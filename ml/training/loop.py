"""The training loop: which photographs come when, the history, and resuming at a step.

Every random number is drawn from (seed, epoch or step, photograph). On a processor, and on a GPU with `deterministic`,
an interrupted training therefore ends in the same weights as one that nothing disturbed. Without it, kernels of a GPU
add up in an order that changes from run to run, and so do the last digits.
"""

import hashlib
import json
import math
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.layers.norm_act import convert_sync_batchnorm

from ml.child.pipes import Reporter
from ml.child.progress import Meter, meter
from ml.devices import Device, Fetched
from ml.errors import InterruptedTrainingError, TrainingError
from ml.images.augmentation import RandomChanges
from ml.images.loader import Batch, Loader
from ml.images.pack import Photos
from ml.networks.embeddings import Embeddings
from ml.networks.frozen import FrozenLayers
from ml.networks.network import Network
from ml.networks.trainable import freeze, set_training_mode
from ml.spec import TrainSpec
from ml.taxonomy import Taxonomy
from ml.training import checkpoints, losses, mixing, optimiser, sampling
from ml.training.checkpoints import Position
from ml.training.optimiser import Rates
from ml.training.recipes import Recipe, rate_at
from ml.training.step import Objective, Step, recordable

if TYPE_CHECKING:
    from ml.child.tracking import ChildRun

PHASE = "train"
CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints; another is written at the end of each epoch."""


@dataclass(kw_only=True)
class Job:
    """One training: what it works on, and the order in which photographs come."""

    spec: TrainSpec
    recipe: Recipe
    network: Network
    photos: Photos
    """The training side, labelled by the network's classes."""
    loader: Loader | FrozenLayers | Embeddings
    """Gives photographs as the network takes them, features of its frozen layers, or embeddings."""
    device: Device
    reporter: Reporter
    stop: threading.Event
    """Set to end after the running step (of several processes: after the next), with a checkpoint."""
    tracked: "ChildRun | None" = None
    """The run that each epoch is logged to."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    taxonomy: Taxonomy | None = None
    """The tree of the classes; needed for a hierarchical loss only."""

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of one pass; a side smaller than a batch is one batch."""
        return max(1, len(self.photos) // self.recipe.batch)

    @property
    def steps(self) -> int:
        """Steps of the whole recipe; none when it only fits the head."""
        return max(1, round(self.recipe.epochs * self.steps_per_epoch)) if self.recipe.segments else 0

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training photographs of each class."""
        return np.bincount(self.photos.labels, minlength=self.network.head.out_features)

    @property
    def draws_anew(self) -> bool:
        """Whether an epoch shows some photographs several times, and others not."""
        return self.recipe.sampling != 1

    def shown(self, epoch: int) -> Photos:
        """What the positions of `groups` point to: the training side, or what is drawn from it for this epoch.

        A photograph that is drawn several times is there as often: each time it is cropped and coloured anew.
        """
        return self.photos.take(self._order(epoch)) if self.draws_anew else self.photos

    def groups(self, epoch: int) -> list[NDArray[np.intp]]:
        """Positions of each batch of an epoch in what is `shown`, over all processes."""
        order = np.arange(len(self.photos)) if self.draws_anew else self._order(epoch)
        batch = self.recipe.batch
        return [order[step * batch : (step + 1) * batch] for step in range(self.steps_per_epoch)]

    def share(self, group: NDArray[np.intp], *, rank: int) -> NDArray[np.intp]:
        """The part of a batch that the process `rank` computes."""
        return group[rank :: self.device.world]

    def _order(self, epoch: int) -> NDArray[np.intp]:
        return sampling.order(
            self.photos.labels, seed=self.spec.seed, stage=self.recipe.rank, epoch=epoch, power=self.recipe.sampling
        )


def fit(job: Job) -> list[dict[str, Any]]:
    """Train until the recipe's end, from the checkpoint when there is one.

    Returns:
        The history: one row per epoch (`ml.training.output_folder.HISTORY`).

    Raises:
        InterruptedTrainingError: `job.stop` was set; the checkpoint holds the state after the last step.
        TrainingError: the loss is not finite; the batch is named.
        CheckpointError: the checkpoint cannot be read.
    """
    loop = Loop(job)
    while loop.position.step < job.steps:
        loop.epoch()
    return loop.history


class Loop:
    """The state of a training between two steps."""

    def __init__(self, job: Job) -> None:
        """Go on from the checkpoint, or begin."""
        network, recipe, device = job.network, job.recipe, job.device
        freeze(network, trainable=recipe.trainable, branches=recipe.branches)
        if job.spec.sync_batch_norm and device.world > 1 and device.device.type == "cuda":
            convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        device.place(network)
        self.job = job
        self.optimiser = optimiser.create(network, recipe)
        self.rates = Rates(self.optimiser, device=device)
        self.scaler = device.scaler()
        self.file = job.spec.output / checkpoints.FILE
        restored = checkpoints.restore(
            self.file, network=network, optimiser=self.optimiser, scaler=self.scaler, spec_hash=job.spec.spec_hash
        )
        self.rates.bind()
        self.position, self.history = restored or (Position(step=0), [])
        if restored:
            job.reporter.info(f"going on at step {self.position.step} of {job.steps}")
        loss = losses.create(recipe, counts=job.counts, taxonomy=job.taxonomy, rank=recipe.rank)
        self.mixing = mixing.create(recipe, classes=network.head.out_features)
        self.steps = Step(
            Objective(network, loss=loss.to(device.device), auxiliary_weight=recipe.auxiliary_weight),
            optimiser=self.optimiser, scaler=self.scaler, device=device, accumulate=job.spec.accumulate,
            compiled=job.spec.compile, graph=job.spec.cuda_graph and recordable(device, recompute=job.spec.recompute),
        )  # fmt: skip
        self._running: Fetched | None = None
        """The numbers of the last step, while they are not known yet: the device may still compute them."""
        self._loss = 0.0
        self._saved = time.monotonic()

    def epoch(self) -> None:
        """Run the rest of the current epoch, or of the recipe when that ends first."""
        job = self.job
        epoch, begin = divmod(self.position.step, job.steps_per_epoch)
        end = min(job.steps_per_epoch, job.steps - epoch * job.steps_per_epoch)
        groups = [job.share(group, rank=job.device.rank) for group in job.groups(epoch)[begin:end]]
        set_training_mode(job.network, branches=job.recipe.branches, batch_norm_frozen=job.recipe.batch_norm_frozen)
        job.device.forget_peak()
        changes = RandomChanges(job.recipe.augmentation, seed=job.spec.seed, stage=job.recipe.rank, epoch=epoch)
        started, waited, before = time.monotonic(), 0.0, self.position.seen
        title = f"epoch {epoch + 1} of {math.ceil(job.recipe.epochs)}"
        with meter(title, total=sum(map(len, groups)), reporter=job.reporter) as progress:
            asked = time.monotonic()
            for batch in job.loader.batches(job.shown(epoch), groups=groups, changes=changes):
                waited += time.monotonic() - asked
                # The step that closes an epoch is saved with the epoch's row, or a resumed run would lack it.
                last = self.position.step + 1 == epoch * job.steps_per_epoch + end
                self.step(batch, changes=changes, progress=progress, last=last)
                asked = time.monotonic()
            self._settle()
        seconds = max(1e-9, time.monotonic() - started)
        self._close_epoch(epoch, speed=(self.position.seen - before) / seconds, data_wait=waited / seconds)
        self._end_when(asked=job.device.any(job.stop.is_set()))

    def step(self, batch: Batch, *, changes: RandomChanges, progress: Meter, last: bool = False) -> None:
        """Take one step, and read the numbers of the one before while the device computes.

        Args:
            batch: This process's share of the photographs.
            changes: The epoch's random changes.
            progress: Counts the photographs.
            last: Leave checkpoints, and ending when asked, to the caller.

        Raises:
            TrainingError: the loss of the step before is not finite.
            InterruptedTrainingError: `job.stop` was set; there is a checkpoint.
        """
        job, step = self.job, self.position.step
        for reason in batch.unreadable:
            job.reporter.info(f"skipped an unreadable photograph, {reason}")
        stop, due = job.stop.is_set(), time.monotonic() - self._saved >= job.checkpoint_seconds
        self.rates.set(rate_at(job.recipe, done=step / job.steps_per_epoch), step=step)
        numbers = self.take(batch, changes=changes, stop=stop, save=due and job.device.first)
        wanted_before = self._settle()
        self._running = numbers
        self.position = replace(self.position, step=step + 1)
        progress.advance(len(batch.positions), note=f"loss {self._loss:.3f}")
        if last:
            return
        if job.device.world > 1:
            # Processes decide together, by what all of them knew when the step before began.
            stop, due = wanted_before
        else:
            stop = job.stop.is_set()
        if stop or due:
            self._save()
        self._end_when(asked=stop)

    def take(self, batch: Batch, *, changes: RandomChanges, stop: bool, save: bool) -> Fetched:
        """Update the weights; on a GPU this returns before the GPU is done.

        Args:
            batch: This process's share of the photographs.
            changes: The epoch's random changes.
            stop: Whether this process was asked to end; all processes learn it from the numbers.
            save: Whether a checkpoint is due; all processes learn it from the numbers.

        Returns:
            The numbers of `ml.training.step.Step.take`.
        """
        job, device = self.job, self.job.device
        # Dropout draws from the global generator: seeding by step makes it independent of where a run began.
        seed = seed_of(job.spec.seed, self.position.step, device.rank)
        torch.manual_seed(seed)
        inputs = job.loader.inputs(batch.pixels, positions=batch.positions, changes=changes)
        targets = device.send(batch.labels)
        if self.mixing is not None:
            inputs, targets = self.mixing(inputs, targets, draws=np.random.default_rng(seed))
        whole = len(job.share(np.arange(min(job.recipe.batch, len(job.photos))), rank=device.rank))
        return self.steps.take(inputs, targets, whole=whole, stop=stop, save=save)

    def _settle(self) -> tuple[bool, bool]:
        """Wait for the numbers of the last step, add them up, and end when its loss is not finite.

        All processes see the same numbers after the same step, so that none is left waiting for the others.

        Returns:
            Whether, before that step, any process was asked to end, and whether a checkpoint was due.
        """
        if self._running is None:
            return False, False
        correct, photos, stop, save, _, *losses = self._running.read()
        self._running = None
        if not all(map(math.isfinite, losses)):
            raise TrainingError(self._not_finite(losses))
        self._loss = sum(losses) / max(1, photos)
        self.position = replace(
            self.position,
            loss_sum=self.position.loss_sum + sum(losses),
            correct=self.position.correct + int(correct),
            seen=self.position.seen + int(photos),
        )
        return stop > 0, save > 0

    def _not_finite(self, losses: list[float]) -> str:
        """Names the photographs of the processes that had such a loss in the last step."""
        job, step = self.job, self.position.step - 1
        epoch, index = divmod(step, job.steps_per_epoch)
        bad = [rank for rank, loss in enumerate(losses) if not math.isfinite(loss)]
        suspects = np.concatenate([job.share(job.groups(epoch)[index], rank=rank) for rank in bad])
        return (
            f"the loss is {losses[bad[0]]} at step {step} of {job.steps}; lower the learning rate of recipe "
            f"{job.recipe.name}, or look at the batch's photographs: "
            + ", ".join(job.shown(epoch).photo_ids[position] for position in suspects)
        )

    def _close_epoch(self, epoch: int, *, speed: float, data_wait: float) -> None:
        job, step, seen = self.job, self.position.step, max(1, self.position.seen)
        numbers = {
            "train_loss": self.position.loss_sum / seen,
            "train_accuracy": self.position.correct / seen,
            "learning_rate": rate_at(job.recipe, done=(step - 1) / job.steps_per_epoch),
            "photos_per_second": speed,
            "memory_mib": job.device.peak_mib(),
            "data_wait": data_wait,
        }
        self.history.append({"phase": PHASE, "epoch": epoch + 1, "step": step, **numbers})
        self.position = Position(step=step)
        if job.tracked is not None:
            job.tracked.log_metrics(numbers, step=step)
        job.reporter.info(
            f"epoch {epoch + 1}: loss {numbers['train_loss']:.3f}, accuracy {numbers['train_accuracy']:.1%}, "
            f"{speed:.1f} photographs a second, {data_wait:.0%} of the time waiting for them, "
            f"at most {numbers['memory_mib']:.0f} MiB"
        )
        self._save()

    def _end_when(self, *, asked: bool) -> None:
        if asked:
            raise InterruptedTrainingError(
                f"interrupted after step {self.position.step} of {self.job.steps}; run again to go on from there"
            )

    def _save(self) -> None:
        self._settle()
        if self.job.device.first:
            checkpoints.save(
                self.file,
                network=self.job.network,
                optimiser=self.optimiser,
                scaler=self.scaler,
                position=self.position,
                history=self.history,
                spec_hash=self.job.spec.spec_hash,
            )
        self._saved = time.monotonic()


def seed_of(*parts: int) -> int:
    """A generator's seed from several numbers."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1
