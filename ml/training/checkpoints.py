"""The checkpoint of an unfinished training: one file of torch, replaced as a whole and read without running code."""

import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ml.errors import CheckpointError
from ml.files import replacing

FILE = Path("checkpoints") / "latest.pt"
"""Below the output folder of the training."""


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


def save(
    file: Path,
    *,
    network: nn.Module,
    optimiser: Optimizer,
    scaler: torch.amp.GradScaler,
    position: Position,
    history: list[dict[str, Any]],
    spec_hash: str,
) -> None:
    """Replace the checkpoint by the present state of training."""
    state = {
        "spec_hash": spec_hash,
        "position": asdict(position),
        "history": history,
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "scaler": scaler.state_dict(),
    }
    with replacing(file) as partial:
        torch.save(state, partial)


def restore(
    file: Path, *, network: nn.Module, optimiser: Optimizer, scaler: torch.amp.GradScaler, spec_hash: str
) -> tuple[Position, list[dict[str, Any]]] | None:
    """Load the checkpoint into `network`, `optimiser` and, where it scales, `scaler`.

    Returns:
        How far training had come, and the history; None when there is no checkpoint.

    Raises:
        CheckpointError: it is damaged, of another specification, or of a version that wrote it in another form.
    """
    if (file.parent / "CURRENT").exists():
        raise CheckpointError(
            f"the checkpoint in {file.parent} was written by an earlier version and cannot be read; remove that folder "
            "to train from the beginning, or let the earlier version finish this training"
        )
    if not file.exists():
        return None
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        if state["spec_hash"] != spec_hash:
            raise CheckpointError(f"{file} belongs to specification {state['spec_hash']}, not {spec_hash}")
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        if scaler.is_enabled():
            scaler.load_state_dict(state["scaler"])
        return Position(**state["position"]), state["history"]
    except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"the checkpoint {file} is damaged ({reason}); remove {file.parent}") from error
