"""One step of training: the loss of a batch, its gradients over all processes, and the update of the weights.

A batch is shared out over the processes, and each share is computed in `accumulate` parts. Gradients are averaged over
photographs, not over parts or processes: up to rounding the step is that of the whole batch, whatever the parts' sizes
and however many photographs are unreadable. Two things do depend on the parts: batch norms in training mode normalise
each part by its own statistics, and dropout draws part by part.

On a GPU the step is recorded once as a CUDA graph and replayed: at the paper's batch of 16 photographs Python takes
three times as long to launch the kernels as the GPU takes to run them.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ml.devices import Device, Fetched
from ml.networks.network import Network
from ml.training.distributed import distribute

WARM_UP = 3
"""Steps that run eagerly before one is recorded: kernels are chosen and memory is laid out in them."""
CORRECT, COUNT, STOP, SAVE, NORM, LOSSES = range(6)
"""Places in the numbers of a step; from LOSSES on there is one for each process."""


class Objective(nn.Module):
    """A network and its loss as one module, so that it can be compiled or distributed as a whole.

    The loss of the auxiliary classifier is added with a weight (paper section 3.1).
    """

    def __init__(self, network: Network, *, loss: nn.Module, auxiliary_weight: float) -> None:
        """Train `network` on `loss`, which takes logits (N, classes) in float32 and targets, and returns their mean."""
        super().__init__()
        self.network = network
        self.auxiliary_weight = auxiliary_weight
        self.loss = loss

    def forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, a scalar in float32, and the logits (N, classes) of what the network takes.

        Args:
            inputs: What the network takes (N, views, 3, H, W).
            targets: Class ids (N), or a share of each class (N, classes).
        """
        logits, auxiliary = self.network.outputs(inputs)
        logits = logits.float()
        loss: Tensor = self.loss(logits, targets)
        if auxiliary is not None:
            loss = loss + self.auxiliary_weight * self.loss(auxiliary.float(), targets)
        return loss, logits


class Step:
    """Takes steps: eagerly, or by replaying the recording of one."""

    def __init__(
        self,
        objective: Objective,
        *,
        optimiser: Optimizer,
        scaler: torch.amp.GradScaler,
        device: Device,
        accumulate: int,
        compiled: bool,
        graph: bool,
    ) -> None:
        """Change the weights of `objective`.

        Args:
            objective: The network and its loss, on the device.
            optimiser: Over its parameters; `capturable` where the step is recorded.
            scaler: Scales losses in float16.
            device: This process's device, and its place among all.
            accumulate: Parts that a share is computed in.
            compiled: Whether `torch.compile` compiles it.
            graph: Whether a step is recorded and replayed; see `recordable`.
        """
        self.network, self.optimiser, self.scaler, self.device = objective.network, optimiser, scaler, device
        self.accumulate, self.graph = accumulate, graph
        self.model: nn.Module = objective
        if device.world > 1:
            self.model = distribute(objective)
        if compiled:
            self.model.compile()
        # Libraries keep memory for each stream that they were used on: one serves for warming up and recording.
        self._stream = torch.cuda.Stream(device.device) if graph and device.device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._replayed: Replayed | None = None
        self._eager = 0
        """Whole batches that were computed eagerly."""

    def take(self, inputs: Tensor, targets: Tensor, *, whole: int, stop: bool, save: bool) -> Fetched:
        """Update the weights; on a GPU this returns before the GPU is done.

        Args:
            inputs: This process's share of the photographs, as the network takes them, on the device; may be empty.
            targets: Class ids (N), or a share of each class (N, classes), on the device.
            whole: Photographs of a share when all can be read.
            stop: Whether this process was asked to end; all processes learn it from the numbers.
            save: Whether a checkpoint is due; all processes learn it from the numbers.

        Returns:
            Over all processes: correct answers, photographs, how many were asked to end, in how many a checkpoint is
            due, the norm of the gradients; then for each process the sum of the losses of its photographs.
        """
        if self.graph and len(targets) == whole and self._eager >= WARM_UP:
            if self._replayed is None:
                self._replayed = Replayed(self._update, inputs=inputs, targets=targets, stream=self._stream)
            return Fetched(self._replayed(inputs, targets))
        self._eager += len(targets) == whole
        with beside(self._stream):
            numbers = self._update(inputs, targets)
        if self.device.world > 1:
            numbers += self.device.send(torch.tensor([0, 0, stop, save] + [0] * (1 + self.device.world)))
        return Fetched(self.device.add_up(numbers))

    def _update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Change the weights, and return the numbers of this process; what a graph records."""
        world, count = self.device.world, len(targets)
        numbers = torch.zeros(LOSSES + world, dtype=torch.float64, device=self.device.device)
        numbers[COUNT].fill_(count)
        self.optimiser.zero_grad(set_to_none=True)
        everywhere = self.device.add_up(numbers[COUNT].clone())
        if count:
            self._backward(inputs, targets, everywhere=everywhere, numbers=numbers)
        elif world > 1:
            self._backward_with_the_others()
        if count or world > 1:
            self.scaler.unscale_(self.optimiser)
            gradients = [each.grad for each in self.network.parameters() if each.grad is not None]
            numbers[NORM] = torch.nn.utils.get_total_norm(gradients) / world
            self.scaler.step(self.optimiser)
            self.scaler.update()
        return numbers

    def _backward(self, inputs: Tensor, targets: Tensor, *, everywhere: Tensor, numbers: Tensor) -> None:
        count = len(targets)
        # A part of one photograph has no statistics that batch norms could normalise it by.
        parts = np.array_split(np.arange(count), max(1, min(self.accumulate, count // 2)))
        with _statistics_kept(self.network) if count == 1 else contextlib.nullcontext():
            for part in parts:
                chosen = slice(int(part[0]), int(part[-1]) + 1)
                together: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
                if isinstance(self.model, DistributedDataParallel) and part is not parts[-1]:
                    together = self.model.no_sync()
                with together:
                    with self.device.autocast():
                        loss, logits = self.model(inputs[chosen], targets[chosen])
                    # The processes' gradients are averaged: what counts is this part's share of all photographs.
                    self.scaler.scale(loss * (self.device.world * len(part) / everywhere)).backward()
                with torch.no_grad():
                    wanted = targets[chosen] if targets.dim() == 1 else targets[chosen].argmax(1)
                    numbers[CORRECT] += (logits.argmax(1) == wanted).sum()
                    numbers[LOSSES + self.device.rank] += loss.detach() * len(part)

    def _backward_with_the_others(self) -> None:
        """Take part in a step without readable photographs: the other processes wait for this one's gradients."""
        spec, device = self.network.spec, self.device
        blank = torch.zeros(2, len(spec.views), 3, spec.image_size, spec.image_size, device=device.device)
        with _statistics_kept(self.network), device.autocast():
            loss, _ = self.model(blank, torch.zeros(2, dtype=torch.int64, device=device.device))
        self.scaler.scale(loss * 0).backward()


class Replayed:
    """A step on tensors that stay where they are: recorded once, replayed with other content.

    Without a GPU the step is computed anew each time, on the same tensors: the reference in tests.
    """

    def __init__(
        self,
        update: Callable[[Tensor, Tensor], Tensor],
        *,
        inputs: Tensor,
        targets: Tensor,
        stream: torch.cuda.Stream | None,
    ) -> None:
        """Record `update` on `stream` for inputs and targets of these shapes; recording computes nothing."""
        self._update = update
        self._inputs, self._targets = torch.empty_like(inputs), torch.empty_like(targets)
        self._numbers = torch.empty(0)
        self._recording: torch.cuda.CUDAGraph | None = None
        if stream is not None:
            self._recording = torch.cuda.CUDAGraph()
            # Other threads load photographs meanwhile.
            with torch.cuda.graph(self._recording, stream=stream, capture_error_mode="thread_local"):
                self._numbers = update(self._inputs, self._targets)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Take the step; the numbers are those of the next call once that is made."""
        self._inputs.copy_(inputs)
        self._targets.copy_(targets)
        if self._recording is None:
            return self._update(self._inputs, self._targets)
        self._recording.replay()
        return self._numbers


def recordable(device: Device, *, recompute: bool) -> bool:
    """Whether a step can be recorded: on one GPU, without float16's scaling, which decides on the processor.

    Recomputing blocks reads the state of the random generator, which cannot be recorded either.
    """
    return device.device.type == "cuda" and device.world == 1 and device.dtype != torch.float16 and not recompute


@contextlib.contextmanager
def beside(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Run on `stream` beside the usual one, if there is one: a step can only be recorded if those before it ran so."""
    if stream is None:
        yield
        return
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)


@contextlib.contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    """Let batch norms normalise by their running statistics, and leave these as they are."""
    norms = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.training
        # These exchange statistics with the other processes, which would wait for this one.
        and not isinstance(module, nn.SyncBatchNorm)
    ]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
