"""Finding the head of least loss on standardised features: over all rows at once, or in mini-batches.

The loss is the mean cross entropy plus a penalty: half of `weight_decay` times the squared distance of the head's rows
from where they are pulled to. For a linear head that is multinomial logistic regression, whose one optimum both ways
approach. Rows are shared out over processes; sums over them make all processes take the same steps.
"""

import contextlib
import itertools
import math
import pickle
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ml.child.progress import Meter
from ml.devices import Device
from ml.errors import CheckpointError, InterruptedTrainingError
from ml.files import replacing
from ml.networks.heads import CosineHead
from ml.training.feature_rows import Held, Rows

LOGITS = 2**24
"""Of one chunk of rows: 64 MiB in single precision, and about three times as much with their gradients."""
MOST_ROWS = 8_192
"""Of one chunk."""
HISTORY = 20
"""Former steps that L-BFGS goes by; each is kept as two vectors of the head's size."""
BATCH = 1_024
"""Rows of a mini-batch, over all processes."""
RATE = 0.01
"""Of Adam, on standardised features; it rises over the first twentieth of all steps and falls along a half cosine."""
RISE = 0.05
BETAS = (0.9, 0.99)
CHECKPOINT_SECONDS = 60.0
INTERRUPTED = "interrupted while fitting the head; run again to go on from there"


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A head to be fitted."""

    head: nn.Linear
    """On the device, for standardised features; changed in place."""
    rows: Rows
    """Of this process."""
    weight_decay: float
    pull: Tensor | None
    """The rows (classes, F) that the penalty pulls to; None for zero. Those of a cosine head are of length one."""
    device: Device
    stop: threading.Event

    @property
    def chunk(self) -> int:
        """Rows whose logits are computed together."""
        return chunk_of(self.head.out_features)

    def penalty(self) -> Tensor:
        """Half of `weight_decay` times the squared distance of the head's rows from where they are pulled to."""
        rows = self.head.directions() if isinstance(self.head, CosineHead) else self.head.weight
        return 0.5 * self.weight_decay * (rows if self.pull is None else rows - self.pull).square().sum()

    def learnt(self) -> list[nn.Parameter]:
        """What is fitted."""
        return [parameter for parameter in self.head.parameters() if parameter.requires_grad]


def chunk_of(classes: int) -> int:
    """Rows whose logits of so many classes are computed together."""
    return max(1, min(MOST_ROWS, LOGITS // classes))


def solve_exactly(problem: Problem, *, iterations: int) -> None:
    """Approach the optimum by L-BFGS over all rows, from the head as it is.

    Args:
        problem: The head is changed in place.
        iterations: Upper limit.

    Raises:
        InterruptedTrainingError: the event to stop was set.
    """
    device, parameters = problem.device, problem.learnt()
    optimiser = torch.optim.LBFGS(parameters, max_iter=iterations, history_size=HISTORY, line_search_fn="strong_wolfe")
    count = max(1, int(device.add_up(torch.tensor(len(problem.rows), device=device.device))))

    def closure() -> float:
        _clear_gradients(parameters)
        numbers = torch.tensor([0.0, problem.stop.is_set()], dtype=torch.float64, device=device.device)
        for part in problem.rows.chunks(chunk_of(problem.head.out_features)):
            loss = nn.functional.cross_entropy(problem.head(part.features), part.labels, reduction="sum") / count
            loss.backward()  # type: ignore[no-untyped-call]
            numbers[0] += loss.detach()
        _add_up_gradients(parameters, device=device)
        total, stopped = device.add_up(numbers).tolist()
        if stopped:
            raise InterruptedTrainingError(INTERRUPTED)
        penalty = problem.penalty()
        penalty.backward()  # type: ignore[no-untyped-call]
        return float(total + penalty.item())

    with full_precision():
        optimiser.step(closure)  # type: ignore[no-untyped-call]


def solve_in_batches(
    problem: Problem,
    *,
    passes: int,
    seed: int,
    progress: Meter,
    file: Path | None = None,
    rate: float = RATE,
    batch: int = BATCH,
    most_steps: int | None = None,
) -> None:
    """Approach the optimum by Adam in mini-batches, from the head as it is.

    Args:
        problem: The head is changed in place.
        passes: Over the rows.
        seed: Draws their order, which a resumed fit repeats.
        progress: Counts the rows of this process.
        file: The checkpoint, written from time to time and when interrupted, and read where it is there.
        rate: The highest learning rate.
        batch: Rows of one step, over all processes.
        most_steps: End early, for measurements; None to finish.

    Raises:
        InterruptedTrainingError: the event to stop was set; the checkpoint holds the state after the last step.
        CheckpointError: the checkpoint cannot be read.
    """
    device = problem.device
    share = max(1, batch // device.world)
    longest = torch.zeros(device.world, dtype=torch.int64, device=device.device)
    longest[device.rank] = -(-len(problem.rows) // share)
    # Each process takes part in as many steps as the one with the most rows.
    per_pass = int(device.add_up(longest).max())
    steps = passes * per_pass
    optimiser = torch.optim.Adam(problem.learnt(), lr=rate, betas=BETAS, fused=True)
    done = _restored(file, head=problem.head, optimiser=optimiser)
    saved = time.monotonic()
    for epoch in range(done // max(1, per_pass), passes):
        parts = _padded(problem.rows.batches(share, seed=seed, epoch=epoch), per_pass)
        for place, part in enumerate(parts):
            if epoch * per_pass + place < done:
                continue
            optimiser.param_groups[0]["lr"] = rate * share_of_rate(done / steps)
            _step(problem, part=part, optimiser=optimiser)
            done += 1
            progress.advance(0 if part is None else len(part))
            asked = device.any(problem.stop.is_set())
            if file is not None and device.first and (asked or time.monotonic() - saved >= CHECKPOINT_SECONDS):
                _save(file, head=problem.head, optimiser=optimiser, done=done)
                saved = time.monotonic()
            if asked:
                raise InterruptedTrainingError(INTERRUPTED)
            if done == most_steps:
                return


def share_of_rate(done: float) -> float:
    """The learning rate after a share of all steps, as a share of the highest one."""
    return min(1.0, (done + 1e-3) / RISE) * 0.5 * (1 + math.cos(math.pi * done))


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Products in single precision on a GPU, too: a line search goes by differences that TF32 would round away."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _step(problem: Problem, *, part: Held | None, optimiser: torch.optim.Optimizer) -> None:
    """One step of all processes; one that has no rows left takes part in the others'."""
    device, parameters = problem.device, problem.learnt()
    _clear_gradients(parameters)
    count = device.add_up(torch.tensor(0 if part is None else len(part), device=device.device))
    if part is not None:
        logits = problem.head(part.features)
        loss = nn.functional.cross_entropy(logits, part.labels, reduction="sum") / count
        loss.backward()  # type: ignore[no-untyped-call]
    _add_up_gradients(parameters, device=device)
    problem.penalty().backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _padded(parts: Iterator[Held], count: int) -> Iterator[Held | None]:
    """The parts, and then None until there are `count`."""
    return itertools.islice(itertools.chain(parts, itertools.repeat(None)), count)


def _clear_gradients(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)


def _add_up_gradients(parameters: list[nn.Parameter], *, device: Device) -> None:
    for parameter in parameters:
        assert parameter.grad is not None  # noqa: S101 (cleared to zeros before)
        device.add_up(parameter.grad)


def _save(file: Path, *, head: nn.Linear, optimiser: torch.optim.Optimizer, done: int) -> None:
    with replacing(file) as partial:
        torch.save({"done": done, "head": head.state_dict(), "optimiser": optimiser.state_dict()}, partial)


def _restored(file: Path | None, *, head: nn.Linear, optimiser: torch.optim.Optimizer) -> int:
    """Load the checkpoint where there is one; the steps that were done."""
    if file is None or not file.exists():
        return 0
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        head.load_state_dict(state["head"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["done"])
    except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"the checkpoint {file} is damaged ({reason}); remove it") from error
