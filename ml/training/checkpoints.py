"""The checkpoint of an unfinished training: one file of torch, replaced as a whole and read without running code.

The state is copied between two steps and written in a thread while training goes on. The interval adapts: what
checkpoints take from training stays below `MOST_TIME`.
"""

import pickle
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from ml.errors import CheckpointError
from ml.files import replacing
from ml.networks.network import Network
from ml.training.background import Background

FILE = Path("checkpoints") / "latest.pt"
"""Below the output folder of the training."""
FORM: Final = 2
"""The form of the file; those of other forms are refused."""
MOST_TIME: Final = 0.01
"""The share of the time that checkpoints may take from training."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far training has come."""

    step: int
    """Optimiser steps done."""
    loss_sum: float = 0.0
    """Of the photographs of the running epoch, for the history."""
    correct: int = 0
    """Photographs of the running epoch that were classified correctly."""
    seen: int = 0
    """Photographs of the running epoch."""


class Best(NamedTuple):
    """The weights with the least loss so far on the photographs that are looked at during training."""

    step: int
    loss: float
    weights: dict[str, Tensor]
    """On the processor; never changed in place."""


class Restored(NamedTuple):
    """What a checkpoint holds besides the state that is loaded."""

    position: Position
    history: list[dict[str, Any]]
    best: Best | None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What has a state that training changes."""

    network: Network
    optimiser: Optimizer
    scaler: torch.amp.GradScaler
    average: Network | None = None
    """The network with averaged weights, where they are averaged."""

    def state(self) -> dict[str, Any]:
        """The present state; its tensors change with the next step."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


class Writer:
    """Writes checkpoints beside the computation, one at a time, and knows when the next is due."""

    def __init__(self, file: Path, *, spec_hash: str, seconds: float) -> None:
        """Write to `file`.

        Args:
            file: The checkpoint, replaced each time.
            spec_hash: The specification that the training belongs to.
            seconds: The least time between two checkpoints.
        """
        self._file, self._spec_hash, self._seconds = file, spec_hash, seconds
        self._background = Background("checkpoint")
        self._saved = time.monotonic()
        self._cost = 0.0
        """Seconds that the last checkpoint took from training."""

    @property
    def affordable(self) -> bool:
        """Whether another checkpoint would keep to `MOST_TIME`, and none is being written."""
        return not self._background.busy and time.monotonic() - self._saved >= self._cost / MOST_TIME

    @property
    def due(self) -> bool:
        """Whether it is also time for one."""
        return self.affordable and time.monotonic() - self._saved >= self._seconds

    def save(
        self, trained: Trained, *, position: Position, history: list[dict[str, Any]], best: Best | None = None
    ) -> None:
        """Copy the state, and write it while training goes on; waits when the one before is still being written.

        Raises:
            OSError: the checkpoint before could not be written.
        """
        started = time.monotonic()
        self._background.wait()
        state = {
            "form": FORM,
            "spec_hash": self._spec_hash,
            "position": asdict(position),
            "history": list(history),
            "best": best._asdict() if best is not None else None,
            **_copied(trained.state()),
        }
        on_gpu = next(trained.network.parameters()).is_cuda
        copied = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
        if copied is not None:
            copied.record()

        def write() -> None:
            if copied is not None:
                copied.synchronize()
            begun = time.monotonic()
            with replacing(self._file) as partial:
                torch.save(state, partial)
            if not on_gpu:
                # The thread takes the processor that the steps are computed on.
                self._cost += time.monotonic() - begun

        self._saved = time.monotonic()
        self._cost = self._saved - started
        self._background.start(write)

    def check(self) -> None:
        """Raise why the last checkpoint could not be written, once that is known."""
        self._background.check()

    def wait(self) -> None:
        """Wait until the last checkpoint is written; raises why it cannot be."""
        self._background.wait()

    def close(self) -> None:
        """End the thread, after what it is writing."""
        self._background.close()


def restore(file: Path, trained: Trained, *, spec_hash: str) -> Restored | None:
    """Load the checkpoint into `trained`.

    Returns:
        What else it holds; None when there is no checkpoint.

    Raises:
        CheckpointError: it is damaged, of another specification, or of a version that wrote it in another form.
    """
    earlier = (
        f"the checkpoint in {file.parent} was written by an earlier version and cannot be read; remove that folder "
        "to train from the beginning, or let the earlier version finish this training"
    )
    if (file.parent / "CURRENT").exists():
        raise CheckpointError(earlier)
    if not file.exists():
        return None
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        if state["spec_hash"] != spec_hash:
            raise CheckpointError(f"{file} belongs to specification {state['spec_hash']}, not {spec_hash}")
        if state.get("form") != FORM:
            raise CheckpointError(earlier)
        trained.load(state)
        best = Best(**state["best"]) if state["best"] is not None else None
        return Restored(Position(**state["position"]), state["history"], best)
    except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"the checkpoint {file} is damaged ({reason}); remove {file.parent}") from error


def on_processor(tensor: Tensor) -> Tensor:
    """A copy in the same layout; of a GPU's tensor in pinned memory, complete once the GPU has come to it."""
    tensor = tensor.detach()
    return tensor.to("cpu", non_blocking=True) if tensor.is_cuda else tensor.clone()


def _copied(value: Any) -> Any:  # noqa: ANN401 (a state is made of dictionaries, lists, numbers and tensors)
    if isinstance(value, Tensor):
        return on_processor(value)
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(each) for each in value)
    return value
