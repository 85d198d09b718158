"""Checkpoints without pickle: weights and optimiser state as safetensors, counters as JSON, replaced as one.

A checkpoint is a folder that is written under another name and moved into place; `CURRENT` names it last.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ml.errors import CheckpointError
from ml.files import put_in_place, sync

POINTER = "CURRENT"


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far training has come."""

    step: int
    """Optimiser steps done."""
    loss_sum: float = 0.0
    """Sums over the photographs of the running epoch, for the history."""
    correct: int = 0
    seen: int = 0
    unreadable: int = 0
    """Photographs of the whole run that could not be decoded."""


def save(
    folder: Path,
    *,
    network: nn.Module,
    optimiser: Optimizer,
    scaler: torch.amp.GradScaler,
    position: Position,
    history: list[dict[str, Any]],
    spec_hash: str,
) -> None:
    """Write the state of training atomically and remove the checkpoint before it."""
    name = f"step-{position.step:09d}"
    partial = folder / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(plain(network.state_dict()), partial / "weights.safetensors")
    save_file(_optimiser_tensors(optimiser), partial / "optimiser.safetensors")
    state = {
        "position": position.__dict__,
        "history": history,
        "scaler": scaler.state_dict(),
        "spec_hash": spec_hash,
    }
    (partial / "state.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    for file in (*partial.iterdir(), partial):
        sync(file)
    if (folder / name).exists():
        # A process that died before it moved the pointer left the same step, hence the same content.
        shutil.rmtree(partial)
    else:
        partial.rename(folder / name)
    pointer = folder / f".{POINTER}.partial"
    pointer.write_text(name, encoding="utf-8")
    put_in_place(pointer, folder / POINTER)
    for old in folder.glob("step-*"):
        if old.name != name:
            shutil.rmtree(old)


def restore(
    folder: Path, *, network: nn.Module, optimiser: Optimizer, scaler: torch.amp.GradScaler, spec_hash: str
) -> tuple[Position, list[dict[str, Any]]] | None:
    """Load the current checkpoint into `network`, `optimiser` and, where it scales, `scaler`.

    Returns:
        How far it had come, and the history; None when there is no checkpoint.

    Raises:
        CheckpointError: it is damaged, or of another specification.
    """
    pointer = folder / POINTER
    if not pointer.exists():
        return None
    current = folder / pointer.read_text(encoding="utf-8").strip()
    try:
        state = json.loads((current / "state.json").read_text(encoding="utf-8"))
        if state["spec_hash"] != spec_hash:
            raise CheckpointError(f"{current} belongs to specification {state['spec_hash']}, not {spec_hash}")
        network.load_state_dict(load_file(current / "weights.safetensors"))
        _restore_optimiser(optimiser, load_file(current / "optimiser.safetensors"))
        if scaler.is_enabled():
            scaler.load_state_dict(state["scaler"])
        return Position(**state["position"]), state["history"]
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint {current} is damaged ({error}); remove {folder}") from error


def remove(folder: Path) -> None:
    """Remove all checkpoints of a finished training."""
    shutil.rmtree(folder, ignore_errors=True)


def plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU in row-major order, as safetensors stores them."""
    return {
        name: tensor.detach().to("cpu").contiguous(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }


def _optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    state: dict[int, dict[str, Tensor]] = optimiser.state_dict()["state"]
    return plain({f"{index}/{name}": tensor for index, entry in state.items() for name, tensor in entry.items()})


def _restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    for parameter, entry in optimiser.state.items():
        for name, tensor in entry.items():
            if tensor.shape == parameter.shape:
                # Fused kernels walk through memory: the state must lie as its parameter does, channels last or not.
                entry[name] = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
