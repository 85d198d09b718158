"""Training of one network by a recipe: the loop, its schedule, checkpoints, and resuming at the very step.

Every random number is drawn from (seed, epoch or step, photograph), so an interrupted run goes on as if nothing had
happened and ends in the same weights. One step is in `ml.training.steps`, the head's fit on frozen features in
`ml.training.head_fit`.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ml.child.progress import Meter, meter
from ml.errors import InterruptedTrainingError, TrainingError
from ml.images import augmentation as augment
from ml.images import loader as data
from ml.networks.cuts import step_names, step_of
from ml.networks.network import Network
from ml.training import checkpoints, optimiser
from ml.training.checkpoints import Position
from ml.training.job import Job
from ml.training.objective import Objective
from ml.training.recipes import Recipe, rate_at
from ml.training.steps import Outcome, Steps, Tally

PHASE = "train"


def fit(job: Job) -> list[dict[str, Any]]:
    """Train until the recipe's end, from the checkpoint when there is one.

    Returns:
        The history: one row per epoch (phase, epoch, step, train_loss, train_accuracy, learning_rate,
        photos_per_second, memory_mib, data_wait).

    Raises:
        InterruptedTrainingError: `job.stop` was set; the checkpoint holds the state after the last step.
        TrainingError: the loss is not finite; the batch is named.
        CheckpointError: the checkpoint cannot be read.
    """
    network = job.network
    freeze(network, recipe=job.recipe)
    if job.sync_batch_norm and job.device.world > 1 and job.device.device.type == "cuda":
        convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    job.device.place(network)
    optimiser_ = optimiser.create(
        network,
        name=job.recipe.optimiser,
        weight_decay=job.recipe.weight_decay,
        eps=job.recipe.eps,
        head_scale=job.recipe.head_scale,
    )
    scaler = job.device.scaler()
    restored = checkpoints.restore(
        job.folder, network=network, optimiser=optimiser_, scaler=scaler, spec_hash=job.spec_hash
    )
    position, history = restored or (Position(step=0), [])
    if restored:
        job.reporter.info(f"going on at step {position.step} of {job.steps}")
    steps = Steps(job=job, model=objective(job), optimiser=optimiser_, scaler=scaler)
    loop = Loop(job=job, steps=steps, position=position, history=history)
    while loop.position.step < job.steps:
        loop.epoch()
    return loop.history


def objective(job: Job) -> nn.Module:
    """The network under its loss, distributed and compiled as asked; the network itself keeps its names."""
    model: nn.Module = Objective(
        job.network, label_smoothing=job.recipe.label_smoothing, auxiliary_weight=job.recipe.auxiliary_weight
    )
    if job.device.world > 1:
        model = DistributedDataParallel(model, forward_sync_buffers=False)
    if job.compile:
        model.compile()
    return model


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
    backbone = network.backbone
    modules = {name: step_of(backbone, name) for name in step_names(backbone)}
    steps = [name for name, step in modules.items() if any(True for _ in getattr(step, "parameters", list)())]
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


class Loop:
    """The running state of `fit`."""

    def __init__(self, *, job: Job, steps: Steps, position: Position, history: list[dict[str, Any]]) -> None:
        """Go on from `position`."""
        self.job, self.steps = job, steps
        self.position, self.history = position, history
        self._running: Outcome | None = None
        """Of the last step, while it is not known yet: the device may still be at it."""
        self._loss = 0.0
        self._saved = time.monotonic()

    def epoch(self) -> None:
        """Run the rest of the current epoch, or of the recipe when that ends first."""
        job = self.job
        epoch, begin = divmod(self.position.step, job.steps_per_epoch)
        end = min(job.steps_per_epoch, job.steps - epoch * job.steps_per_epoch)
        groups = [job.share(group, rank=job.device.rank) for group in job.groups(epoch)[begin:end]]
        set_training_mode(job.network, recipe=job.recipe)
        job.device.forget_peak()
        draws = augment.Draws(seed=job.seed, epoch=epoch)
        stream = self._batches(groups, draws=draws)
        started, waited, before = time.monotonic(), 0.0, self.position.seen
        title = f"epoch {epoch + 1} of {math.ceil(job.recipe.epochs)}"
        with meter(title, total=sum(map(len, groups)), reporter=job.reporter) as progress:
            asked = time.monotonic()
            for batch in stream:
                waited += time.monotonic() - asked
                # The step that closes an epoch is saved with the epoch's row, or a resumed run would lack it.
                last = self.position.step + 1 == epoch * job.steps_per_epoch + end
                self.step(batch, draws=draws, progress=progress, last=last)
                asked = time.monotonic()
            self._settle()
        seconds = max(1e-9, time.monotonic() - started)
        self._close_epoch(epoch, speed=(self.position.seen - before) / seconds, data_wait=waited / seconds)
        self._end_when(asked=job.device.any(job.stop.is_set()))

    def step(self, batch: data.Batch, *, draws: augment.Draws, progress: Meter, last: bool = False) -> None:
        """Take one step, and look at what became of the one before while the device computes.

        Args:
            batch: This process's share of the photographs.
            draws: The epoch's random numbers.
            progress: Told of every photograph.
            last: Leave checkpoints, and ending when asked, to the caller.

        Raises:
            TrainingError: the loss of the step before is not finite (`_settle`: of this one).
            InterruptedTrainingError: `job.stop` was set; there is a checkpoint.
        """
        job, step = self.job, self.position.step
        for reason in batch.unreadable:
            job.reporter.info(f"skipped an unreadable photograph, {reason}")
        stop, due = job.stop.is_set(), time.monotonic() - self._saved >= job.checkpoint_seconds
        optimiser.set_rate(self.steps.optimiser, rate_at(job.recipe, done=step / job.steps_per_epoch))
        outcome = self.steps.take(batch, step=step, draws=draws, stop=stop, save=due and job.device.first)
        before = self._settle()
        self._running = outcome
        self.position = replace(self.position, step=step + 1)
        progress.advance(len(batch.positions), note=f"loss {self._loss:.3f}")
        if last:
            return
        if job.device.world > 1:
            # Processes decide together, by what all of them knew when the step before began.
            stop, due = (before.stop, before.save) if before is not None else (False, False)
        else:
            stop = job.stop.is_set()
        if stop or due:
            self._save()
        self._end_when(asked=stop)

    def _settle(self) -> Tally | None:
        """Wait for the numbers of the step before, add them up, and end when its loss is not finite.

        All processes see the same numbers after the same step, so that none is left waiting for the others.
        """
        if self._running is None:
            return None
        tally, self._running = self._running.read(), None
        bad = [rank for rank, loss in enumerate(tally.losses) if not math.isfinite(loss)]
        if bad:
            raise TrainingError(self._not_finite(tally, ranks=bad))
        loss_sum = sum(tally.losses)
        self._loss = loss_sum / max(1, tally.photos)
        self.position = replace(
            self.position,
            loss_sum=self.position.loss_sum + loss_sum,
            correct=self.position.correct + tally.correct,
            seen=self.position.seen + tally.photos,
            unreadable=self.position.unreadable + tally.unreadable,
        )
        return tally

    def _not_finite(self, tally: Tally, *, ranks: list[int]) -> str:
        job = self.job
        epoch, index = divmod(tally.step, job.steps_per_epoch)
        group = job.groups(epoch)[index]
        suspects = np.concatenate([job.share(group, rank=rank) for rank in ranks])
        return (
            f"the loss is {tally.losses[ranks[0]]} at step {tally.step} of {job.steps}; lower the learning rate of "
            f"recipe {job.recipe.name}, or look at the batch's photographs: "
            + ", ".join(job.photos.photo_ids[position] for position in suspects)
        )

    def _batches(self, groups: list[NDArray[np.intp]], *, draws: augment.Draws) -> Iterator[data.Batch]:
        job = self.job
        if job.frozen is not None:
            return job.frozen.batches(job.photos, groups=groups, draws=draws, augmentation=job.recipe.augmentation)
        return data.batches(
            job.photos,
            pack=job.pack,
            groups=groups,
            box=lambda index: augment.crop_box(draws.of(index), augmentation=job.recipe.augmentation),
            views=job.network.spec.views,
            image_size=job.network.spec.image_size,
            workers=job.workers,
        )

    def _close_epoch(self, epoch: int, *, speed: float, data_wait: float) -> None:
        job = self.job
        seen = max(1, self.position.seen)
        row = {
            "phase": PHASE,
            "epoch": epoch + 1,
            "step": self.position.step,
            "train_loss": self.position.loss_sum / seen,
            "train_accuracy": self.position.correct / seen,
            "learning_rate": rate_at(job.recipe, done=(self.position.step - 1) / job.steps_per_epoch),
            "photos_per_second": speed,
            "memory_mib": job.device.peak_mib(),
            "data_wait": data_wait,
        }
        self.history.append(row)
        self.position = Position(step=self.position.step, unreadable=self.position.unreadable)
        if job.device.first:
            job.on_epoch(row)
        job.reporter.info(
            f"epoch {epoch + 1}: loss {row['train_loss']:.3f}, accuracy {row['train_accuracy']:.1%}, "
            f"{speed:.1f} photographs a second, {data_wait:.0%} of the time waiting for them, "
            f"at most {row['memory_mib']:.0f} MiB"
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
                self.job.folder,
                network=self.job.network,
                optimiser=self.steps.optimiser,
                scaler=self.steps.scaler,
                position=self.position,
                history=self.history,
                spec_hash=self.job.spec_hash,
            )
        self._saved = time.monotonic()
