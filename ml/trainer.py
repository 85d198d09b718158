"""Training of one network by a recipe: the loop, its schedule, checkpoints, and resuming at the very step.

Every random number is drawn from (seed, epoch or step, photograph), so an interrupted run goes on as if nothing had
happened and ends in the same weights. The head's fit on frozen features is in `ml.probe`.
"""

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ml import augment, checkpoints, data, optimiser
from ml.checkpoints import Position
from ml.data import Pack, Photos
from ml.devices import Device
from ml.errors import InterruptedTrainingError, TrainingError
from ml.networks import Network
from ml.objective import Objective
from ml.pipes import Reporter
from ml.progress import Meter, meter
from ml.recipes import Recipe, rate_at
from ml.sections import step_of

CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints; another is written at the end of each epoch."""
PHASE = "train"


@dataclass(kw_only=True)
class Job:
    """What one training works on. The same values give the same weights."""

    network: Network
    recipe: Recipe
    pack: Pack
    photos: Photos
    folder: Path
    """Where checkpoints go."""
    spec_hash: str
    seed: int
    workers: int
    device: Device
    reporter: Reporter
    stop: threading.Event = field(default_factory=threading.Event)
    """Set to end after the running step, with a checkpoint."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None
    """Told each new row of the history (on the first rank)."""

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of one pass; a side smaller than a batch is one batch."""
        return max(1, len(self.photos) // self.recipe.batch)

    @property
    def steps(self) -> int:
        """Steps of the whole recipe; none when it only fits the head."""
        return max(1, round(self.recipe.epochs * self.steps_per_epoch)) if self.recipe.segments else 0

    def groups(self, epoch: int) -> list[NDArray[np.intp]]:
        """Positions of each batch of an epoch, over all processes."""
        order = data.epoch_order(len(self.photos), seed=self.seed, epoch=epoch)
        return [order[begin : begin + self.recipe.batch] for begin in range(0, len(order), self.recipe.batch)][
            : self.steps_per_epoch
        ]


def fit(job: Job) -> list[dict[str, Any]]:
    """Train until the recipe's end, from the checkpoint when there is one.

    Returns:
        The history: one row per epoch (phase, epoch, step, train_loss, train_accuracy, learning_rate,
        photos_per_second).

    Raises:
        InterruptedTrainingError: `job.stop` was set; the checkpoint holds the state after the last step.
        TrainingError: the loss is not finite; the batch is named.
        CheckpointError: the checkpoint cannot be read.
    """
    network = job.network
    freeze(network, recipe=job.recipe)
    job.device.place(network)
    optimiser_ = optimiser.create(
        network,
        name=job.recipe.optimiser,
        weight_decay=job.recipe.weight_decay,
        eps=job.recipe.eps,
        head_scale=job.recipe.head_scale,
    )
    restored = checkpoints.restore(job.folder, network=network, optimiser=optimiser_, spec_hash=job.spec_hash)
    position, history = restored or (Position(step=0), [])
    if restored:
        job.reporter.info(f"going on at step {position.step} of {job.steps}")
    model: nn.Module = Objective(
        network, label_smoothing=job.recipe.label_smoothing, auxiliary_weight=job.recipe.auxiliary_weight
    )
    if job.device.world > 1:
        model = DistributedDataParallel(model, forward_sync_buffers=False)
    loop = _Loop(job=job, model=model, optimiser=optimiser_, position=position, history=history)
    while loop.position.step < job.steps:
        loop.epoch()
    return loop.history


def freeze(network: Network, *, recipe: Recipe) -> None:
    """Let gradients into the last `recipe.trainable` share of the backbone's steps only, and into all that is new."""
    network.requires_grad_(requires_grad=True)
    if recipe.trainable == 1:
        return
    network.backbone.requires_grad_(requires_grad=False)
    kept = trainable_steps(network, share=recipe.trainable)
    for name in kept:
        step_of(network.backbone, name).requires_grad_(requires_grad=True)
    if network.plan is not None and recipe.branches == "pretrained":
        for branch in network.branches:
            for name, layers in zip(network.plan.branch, branch.children(), strict=True):
                layers.requires_grad_(requires_grad=name in kept)


def trainable_steps(network: Network, *, share: float) -> set[str]:
    """The last `share` of the steps of the backbone that have parameters."""
    backbone, plan = network.backbone, network.plan
    names = [name for name, _ in backbone.named_children()] if plan is None else plan.stem + plan.branch + plan.trunk
    steps = [name for name in names if any(True for _ in getattr(step_of(backbone, name), "parameters", list)())]
    return set(steps[len(steps) - math.ceil(share * len(steps)) :])


def set_training_mode(network: Network, *, recipe: Recipe) -> None:
    """Training mode; batch norms of frozen parts, or of all pretrained ones when asked, keep to running statistics."""
    network.train()
    pretrained = [network.backbone, *(network.branches if recipe.branches == "pretrained" else ())]
    for module in (module for part in pretrained for module in part.modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            frozen = not any(parameter.requires_grad for parameter in module.parameters())
            if recipe.batch_norm_frozen or frozen:
                module.eval()


class _Loop:
    """The running state of `fit`."""

    def __init__(
        self, *, job: Job, model: nn.Module, optimiser: Optimizer, position: Position, history: list[dict[str, Any]]
    ) -> None:
        self.job, self.model, self.optimiser = job, model, optimiser
        self.position, self.history = position, history
        self._saved = time.monotonic()

    def epoch(self) -> None:
        """Run the rest of the current epoch, or of the recipe when that ends first."""
        job = self.job
        epoch, begin = divmod(self.position.step, job.steps_per_epoch)
        end = min(job.steps_per_epoch, job.steps - epoch * job.steps_per_epoch)
        groups = [group[job.device.rank :: job.device.world] for group in job.groups(epoch)[begin:end]]
        set_training_mode(job.network, recipe=job.recipe)
        draws = augment.Draws(seed=job.seed, epoch=epoch)
        stream = self._batches(groups, draws=draws)
        started, before = time.monotonic(), self.position.seen
        title = f"epoch {epoch + 1} of {math.ceil(job.recipe.epochs)}"
        with meter(title, total=sum(map(len, groups)), reporter=job.reporter) as progress:
            for batch in stream:
                self._one(batch, draws=draws, progress=progress)
                # The step that closes an epoch is saved with the epoch's row, or a resumed run would lack it.
                if self.position.step < epoch * job.steps_per_epoch + end:
                    self._checkpoint_now_and_then()
        seconds = max(1e-9, time.monotonic() - started)
        self._close_epoch(epoch, speed=(self.position.seen - before) / seconds)
        self._end_when(asked=job.device.any(job.stop.is_set()))

    def _batches(self, groups: list[NDArray[np.intp]], *, draws: augment.Draws) -> Iterator[data.Batch]:
        job = self.job
        return data.batches(
            job.photos,
            pack=job.pack,
            groups=groups,
            box=lambda index: augment.crop_box(draws.of(index), augmentation=job.recipe.augmentation),
            views=job.network.spec.views,
            image_size=job.network.spec.image_size,
            workers=job.workers,
        )

    def _one(self, batch: data.Batch, *, draws: augment.Draws, progress: Meter) -> None:
        job = self.job
        step = self.position.step
        rate = rate_at(job.recipe, done=step / job.steps_per_epoch)
        optimiser.set_rate(self.optimiser, rate)
        for reason in batch.unreadable:
            job.reporter.info(f"skipped an unreadable photograph, {reason}")
        loss, correct = 0.0, 0
        if len(batch.positions):
            loss, correct = self._update(batch, draws=draws)
        elif job.device.world > 1:
            self._update_with_the_others()
        count = len(batch.positions)
        self.position = Position(
            step=step + 1,
            loss_sum=self.position.loss_sum + loss * count,
            correct=self.position.correct + correct,
            seen=self.position.seen + count,
            unreadable=self.position.unreadable + len(batch.unreadable),
        )
        progress.advance(count, note=f"loss {loss:.3f}")

    def _update(self, batch: data.Batch, *, draws: augment.Draws) -> tuple[float, int]:
        job = self.job
        # Dropout draws from the global generator: seeding by step makes it independent of where a run began.
        torch.manual_seed(seed_of(job.seed, self.position.step, job.device.rank))
        numbers = np.stack([draws.of(int(index)) for index in batch.positions])
        pixels = augment.change_colours(
            job.device.pixels(batch.pixels), draws=numbers, augmentation=job.recipe.augmentation
        )
        pixels = data.standardise(pixels, job.network.spec.mean, job.network.spec.std)
        labels = batch.labels.to(job.device.device)
        with job.device.autocast():
            loss, logits = self.model(pixels, labels)
        value = float(loss.item())
        if not math.isfinite(value):
            names = ", ".join(job.photos.photo_ids[index] for index in batch.positions)
            raise TrainingError(
                f"the loss is {value} at step {self.position.step} of {job.steps}; lower the learning rate of recipe "
                f"{job.recipe.name}, or look at the batch's photographs: {names}"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return value, int((logits.argmax(1) == labels).sum().item())

    def _update_with_the_others(self) -> None:
        """Take part in a step without photographs of one's own: the other processes wait for our gradients."""
        spec, device = self.job.network.spec, self.job.device.device
        blank = torch.zeros(2, len(spec.views), 3, spec.image_size, spec.image_size, device=device)
        loss, _ = self.model(blank, torch.zeros(2, dtype=torch.int64, device=device))
        self.optimiser.zero_grad(set_to_none=True)
        (loss * 0).backward()
        self.optimiser.step()

    def _close_epoch(self, epoch: int, *, speed: float) -> None:
        job = self.job
        seen = max(1, self.position.seen)
        row = {
            "phase": PHASE,
            "epoch": epoch + 1,
            "step": self.position.step,
            "train_loss": self.position.loss_sum / seen,
            "train_accuracy": self.position.correct / seen,
            "learning_rate": rate_at(job.recipe, done=(self.position.step - 1) / job.steps_per_epoch),
            "photos_per_second": speed * job.device.world,
        }
        self.history.append(row)
        self.position = Position(step=self.position.step, unreadable=self.position.unreadable)
        if job.device.first:
            job.on_epoch(row)
        job.reporter.info(
            f"epoch {epoch + 1}: loss {row['train_loss']:.3f}, accuracy {row['train_accuracy']:.1%}, "
            f"{row['photos_per_second']:.1f} photographs a second"
        )
        self._save()

    def _checkpoint_now_and_then(self) -> None:
        asked = self.job.device.any(self.job.stop.is_set())
        if asked or time.monotonic() - self._saved >= self.job.checkpoint_seconds:
            self._save()
        self._end_when(asked=asked)

    def _end_when(self, *, asked: bool) -> None:
        if asked:
            raise InterruptedTrainingError(
                f"interrupted after step {self.position.step} of {self.job.steps}; run again to go on from there"
            )

    def _save(self) -> None:
        if self.job.device.first:
            checkpoints.save(
                self.job.folder,
                network=self.job.network,
                optimiser=self.optimiser,
                position=self.position,
                history=self.history,
                spec_hash=self.job.spec_hash,
            )
        self._saved = time.monotonic()


def seed_of(*parts: int) -> int:
    """A generator's seed from several numbers."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big") >> 1
