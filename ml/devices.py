"""Where tensors lie and how processes find each other: one device per process, torchrun's environment."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Device:
    """This process's device and its place among all."""

    device: torch.device
    rank: int
    world: int

    @property
    def first(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        """Half precision (bfloat16) on a GPU; full precision on a processor."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda")

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network here; channels last is the layout that convolutions are fastest in."""
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def pixels(self, pixels: Tensor) -> Tensor:
        """Bytes (N, views, H, W, 3) as (N, views, 3, H, W) in [0, 1] here, in planes.

        All photographs' first views come first in memory, as networks run them. Planes are what arithmetic on
        channels is fastest in; the first convolution takes either layout.
        """
        moved = pixels.to(self.device, non_blocking=True).permute(1, 0, 4, 2, 3)
        planes = torch.empty(moved.shape, device=self.device).copy_(moved)
        return planes.div_(255.0).transpose(0, 1)

    def any(self, flag: bool) -> bool:  # noqa: FBT001 (the value itself is what is shared)
        """Whether `flag` is set in any process: all go on, or all end, at the same step."""
        if self.world == 1:
            return flag
        shared = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return bool(shared.item())

    def wait_for_all(self) -> None:
        """Wait until every process has come here."""
        if self.world > 1:
            dist.barrier()


@contextlib.contextmanager
def joined() -> Iterator[Device]:
    """Yield this process's device; with torchrun, within a process group."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world == 1:
        yield Device(device=device, rank=0, world=1)
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Device(device=device, rank=rank, world=world)
    finally:
        dist.destroy_process_group()
