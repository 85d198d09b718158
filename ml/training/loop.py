"""The training loop: steps and epochs, the history, and resuming at a step.

Every random number is drawn from (seed, epoch or step, photograph). On a processor, and on a GPU with `deterministic`,
an interrupted training therefore ends in the same weights as one that nothing disturbed. Without it, kernels of a GPU
add up in an order that changes from run to run, and so do the last digits.
"""

import math
import time
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from ml.child.progress import Meter, meter
from ml.devices import Fetched
from ml.errors import InterruptedTrainingError, TrainingError
from ml.images.augmentation import RandomChanges
from ml.images.loader import Batch
from ml.networks.network import Network
from ml.networks.trainable import freeze, set_training_mode
from ml.training import checkpoints, losses, mixing, optimiser, sampling, throughput, validation
from ml.training.averaging import Average, settle_statistics
from ml.training.checkpoints import Best, Position, Restored, Trained, Writer, on_processor
from ml.training.distributed import synchronise_norms
from ml.training.job import Job
from ml.training.optimiser import Rates
from ml.training.recipes import rate_at
from ml.training.seeds import seed_of
from ml.training.statistics import share_statistics
from ml.training.step import Objective, Step, recordable
from ml.training.step_log import StepLog, epoch_metrics
from ml.training.validation import Quality

PHASE = "train"
STATISTICS_BATCHES = 100
"""Batches that the statistics of batch norms are taken anew from after a short training; at the end of an epoch within
it a twentieth of the epoch, and at least four."""


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
    try:
        while loop.goes_on:
            loop.epoch()
        loop.finish()
    finally:
        loop.writer.close()
        loop.log.close()
    return loop.history


class Loop:
    """The state of a training between two steps."""

    def __init__(self, job: Job) -> None:
        """Go on from the checkpoint, or begin."""
        network, recipe, device = job.network, job.recipe, job.device
        if recipe.patience is not None and (job.validation is None or not len(job.validation.positions)):
            raise TrainingError(
                f"recipe {recipe.name} has patience, but no validation photograph is in the half {validation.HALF}, "
                "which may be looked at during training; materialise split again, or train without patience"
            )
        freeze(network, trainable=recipe.trainable, branches=recipe.branches)
        if job.spec.sync_batch_norm and device.world > 1 and device.device.type == "cuda":
            synchronise_norms(network)
        device.place(network)
        # Once: a recorded step takes its memory when it is recorded.
        device.forget_peak()
        self.job = job
        self.optimiser = optimiser.create(network, recipe)
        self.rates = Rates(self.optimiser, device=device)
        self.scaler = device.scaler()
        self.average = Average(network, decay=recipe.ema) if recipe.ema is not None else None
        self.trained = Trained(
            network=network, optimiser=self.optimiser, scaler=self.scaler,
            average=cast("Network", self.average.module) if self.average is not None else None,
        )  # fmt: skip
        file = job.spec.output / checkpoints.FILE
        restored = checkpoints.restore(file, self.trained, spec_hash=job.spec.spec_hash)
        self.writer = Writer(file, spec_hash=job.spec.spec_hash, seconds=job.checkpoint_seconds)
        self.rates.bind()
        self.position, self.history, self.best = restored or Restored(Position(step=0), [], None)
        if restored:
            job.reporter.info(f"going on at step {self.position.step} of {job.steps}")
        counts = sampling.counts(job.photos, classes=network.head.out_features)
        loss = losses.create(recipe, counts=counts, taxonomy=job.taxonomy, rank=recipe.rank)
        self.mixing = mixing.create(recipe, classes=network.head.out_features)
        self.steps = Step(
            Objective(network, loss=loss.to(device.device), auxiliary_weight=recipe.auxiliary_weight),
            optimiser=self.optimiser, scaler=self.scaler, device=device, accumulate=job.spec.accumulate,
            compiled=job.spec.compile, graph=job.spec.cuda_graph and recordable(device, recompute=job.spec.recompute),
        )  # fmt: skip
        self.log = StepLog(job.tracked if device.first else None, every=job.spec.log_steps)
        self._whole = len(job.share(np.arange(min(recipe.batch, len(job.photos))), rank=device.rank))
        """Photographs of this process's share of a batch when all can be read."""
        self._peak = throughput.peak(device)
        # The features of frozen layers are no pixels; and where no peak is known, there is nothing to compare with.
        counted = self._peak is not None and job.steps > 0 and not network.begun
        self._flop = throughput.step_flop(network, device=device) if counted else math.nan
        self._running: Fetched | None = None
        """The numbers of the last step, while they are not known yet: the device may still compute them."""
        self._loss = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether there is another step: the recipe has not ended, nor its patience."""
        if self._open:
            return True
        patience = self.job.recipe.patience
        waited = self.position.step - self.best.step if self.best is not None else 0
        patient = patience is None or waited < patience * self.job.steps_per_epoch
        return patient and self.position.step < self.job.steps

    @property
    def _open(self) -> bool:
        """Whether an epoch's steps are all done, but not its validation and its row."""
        at_end = self.position.step % self.job.steps_per_epoch == 0 or self.position.step == self.job.steps
        return at_end and self.position.seen > 0

    def epoch(self) -> None:
        """Run the rest of the current epoch, or of the recipe when that ends first."""
        job = self.job
        epoch = (self.position.step - self._open) // job.steps_per_epoch
        begin = self.position.step - epoch * job.steps_per_epoch
        end = min(job.steps_per_epoch, job.steps - epoch * job.steps_per_epoch)
        groups = [job.share(group, rank=job.device.rank) for group in job.groups(epoch)[begin:end]]
        set_training_mode(job.network, branches=job.recipe.branches, batch_norm_frozen=job.recipe.batch_norm_frozen)
        changes = job.changes(epoch)
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
        speed = (self.position.seen - before) / seconds if groups else math.nan
        try:
            self._close_epoch(epoch, speed=speed, data_wait=waited / seconds)
        except InterruptedTrainingError:
            self._save()
            self._end_when(asked=True)
        asked = job.device.any(job.stop.is_set())
        if asked or not self.goes_on or self.writer.affordable:
            self._save()
        self._end_when(asked=asked)

    def finish(self) -> None:
        """Give the network the weights that are kept: those of the best epoch, the average, or the last."""
        self.writer.wait()
        self.log.wait()
        if self.best is not None:
            self.job.network.load_state_dict(self.best.weights)
            epoch = math.ceil(self.best.step / self.job.steps_per_epoch)
            self.job.reporter.info(f"kept the network of epoch {epoch}, with a validation loss of {self.best.loss:.3f}")
        elif self.average is not None:
            self.job.network.load_state_dict(self.average.module.state_dict())
        steps = self.best.step if self.best is not None else self.position.step
        if steps:
            self._settle_statistics(self.job.network, steps=steps, batches=STATISTICS_BATCHES)

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
        self.writer.check()
        stop, due = job.stop.is_set(), self.writer.due
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
        # What was due before the step before may be written by now.
        if stop or (due and self.writer.due):
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
        seed = seed_of(job.spec.seed, job.recipe.stage, self.position.step, device.rank)
        torch.manual_seed(seed)
        inputs = job.loader.inputs(batch.pixels, positions=batch.positions, changes=changes)
        targets = device.send(batch.labels)
        if self.mixing is not None:
            inputs, targets = self.mixing(inputs, targets, draws=np.random.default_rng(seed))
        numbers = self.steps.take(inputs, targets, whole=self._whole, stop=stop, save=save)
        if self.average is not None:
            self.average.update(job.network, step=self.position.step)
        return numbers

    def _settle(self) -> tuple[bool, bool]:
        """Wait for the numbers of the last step, add them up, and end when its loss is not finite.

        All processes see the same numbers after the same step, so that none is left waiting for the others.

        Returns:
            Whether, before that step, any process was asked to end, and whether a checkpoint was due.
        """
        if self._running is None:
            return False, False
        correct, photos, stop, save, norm, *losses = self._running.read()
        self._running = None
        if not all(map(math.isfinite, losses)):
            raise TrainingError(self._not_finite(losses))
        self._loss = sum(losses) / max(1, photos)
        rate = rate_at(self.job.recipe, done=(self.position.step - 1) / self.job.steps_per_epoch)
        self.log.add(step=self.position.step, loss=self._loss, norm=norm, rate=rate)
        loss_sum, seen = self.position.loss_sum + sum(losses), self.position.seen + int(photos)
        self.position = replace(
            self.position, loss_sum=loss_sum, correct=self.position.correct + int(correct), seen=seen
        )
        return stop > 0, save > 0

    def _not_finite(self, losses: list[float]) -> str:
        """Names the photographs of the processes that had such a loss in the last step."""
        job, step = self.job, self.position.step - 1
        epoch, index = divmod(step, job.steps_per_epoch)
        bad = [rank for rank, loss in enumerate(losses) if not math.isfinite(loss)]
        suspects = np.concatenate([job.share(job.groups(epoch)[index], rank=rank) for rank in bad])
        names = ", ".join(job.shown(epoch).take(suspects).photo_ids)
        return (f"the loss is {losses[bad[0]]} at step {step} of {job.steps}; lower the learning rate of recipe "
                f"{job.recipe.name}, or look at the batch's photographs: {names}")  # fmt: skip

    def _close_epoch(self, epoch: int, *, speed: float, data_wait: float) -> None:
        job, step, seen = self.job, self.position.step, max(1, self.position.seen)
        memory = job.device.peak_mib()
        for network in (job.network, self.trained.average):
            # Each process has its own statistics, and an average of these.
            if network is not None:
                set_training_mode(network, branches=job.recipe.branches, batch_norm_frozen=job.recipe.batch_norm_frozen)
                share_statistics(network, device=job.device)
        quality = self._validate()
        numbers = {
            "train_loss": self.position.loss_sum / seen,
            "train_accuracy": self.position.correct / seen,
            "learning_rate": rate_at(job.recipe, done=(step - 1) / job.steps_per_epoch),
            "photos_per_second": speed,
            "memory_mib": memory,
            "data_wait": data_wait,
            "peak_share": speed / job.device.world * self._flop / self._peak if self._peak else math.nan,
            "validation_loss": quality.loss if quality else math.nan,
            "validation_accuracy": quality.accuracy if quality else math.nan,
        }
        known = {name: value for name, value in numbers.items() if not math.isnan(value)}
        self.history.append({"phase": PHASE, "epoch": epoch + 1, "step": step, **known})
        self.position = Position(step=step)
        if job.tracked is not None:
            job.tracked.log_metrics(epoch_metrics(known), step=step)
        told = [f"epoch {epoch + 1}: loss {numbers['train_loss']:.3f}, accuracy {numbers['train_accuracy']:.1%}"]
        if quality:
            told += [f"validation loss {quality.loss:.3f}, accuracy {quality.accuracy:.1%}"]
        if "photos_per_second" in known:
            told += [f"{speed:.1f} photographs a second", f"{data_wait:.0%} of the time waiting for them"]
        if "peak_share" in known:
            told += [f"{known['peak_share']:.0%} of the card's peak"]
        job.reporter.info(", ".join([*told, f"at most {memory:.0f} MiB"]))

    def _validate(self) -> Quality | None:
        """Look at the network that would be kept now, and remember its weights where it is the best so far."""
        job = self.job
        if job.validation is None or not len(job.validation.positions):
            return None
        network = self.trained.average or job.network
        few = min(STATISTICS_BATCHES, max(4, job.steps_per_epoch // 20))
        self._settle_statistics(network, steps=self.position.step, batches=few)
        quality = job.validation.measure(network, loader=job.loader, device=job.device, stop=job.stop)
        if job.recipe.patience is not None and (self.best is None or quality.loss < self.best.loss):
            weights = {name: on_processor(tensor) for name, tensor in network.state_dict().items()}
            self.best = Best(step=self.position.step, loss=quality.loss, weights=weights)
        return quality

    def _settle_statistics(self, network: Network, *, steps: int, batches: int) -> None:
        """Take running statistics anew where `steps` steps are too few: from the last epoch's first batches."""
        job, epoch = self.job, (steps - 1) // self.job.steps_per_epoch
        seen = settle_statistics(
            network, recipe=job.recipe, steps=steps, photos=job.shown(epoch), changes=job.changes(epoch),
            positions=np.concatenate(job.groups(epoch)[:batches]), loader=job.loader, device=job.device, stop=job.stop,
        )  # fmt: skip
        if seen:
            job.reporter.info(f"took the statistics of batch norms anew from {seen} photographs")

    def _end_when(self, *, asked: bool) -> None:
        if asked:
            self.writer.wait()
            done = f"after step {self.position.step} of {self.job.steps}"
            raise InterruptedTrainingError(f"interrupted {done}; run again to go on from there")

    def _save(self) -> None:
        self._settle()
        if self.job.device.first:
            self.writer.save(self.trained, position=self.position, history=self.history, best=self.best)
