"""The device and the precision that networks run in, and the group of processes that torchrun starts."""

import contextlib
import functools
import os
import platform
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ml.errors import TrainingError
from ml.spec import PrecisionName

PRECISIONS: dict[PrecisionName, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
MIB = 2**20


class Fetched:
    """Numbers that are being copied from a device to the processor; reading them waits for the copy only.

    A plain `.item()` would wait for everything that is queued on the device, the following step included.
    """

    def __init__(self, numbers: Tensor) -> None:
        """Start to copy `numbers`, of one dimension."""
        # From a GPU, a copy that does not block goes to pinned memory.
        self._numbers = numbers.detach().to("cpu", non_blocking=True)
        self._copied = torch.cuda.Event() if numbers.is_cuda else None  # type: ignore[no-untyped-call]
        if self._copied is not None:
            self._copied.record()

    def read(self) -> list[float]:
        """The numbers."""
        if self._copied is not None:
            self._copied.synchronize()
        values: list[float] = self._numbers.tolist()
        return values


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; to a GPU through pinned memory, without waiting for what the GPU is doing."""
    if device.type != "cuda":
        return tensor.to(device)
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
    return pinned.to(device, non_blocking=True)


@functools.cache
def constant(numbers: tuple[float, ...], device: torch.device) -> Tensor:
    """`numbers` in float32 on `device`, copied there once."""
    return to_device(torch.tensor(numbers), device)


def processor_name() -> str:
    """The processor's model, as the system calls it; the architecture where it does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True, kw_only=True)
class Device:
    """This process's device and its place among all."""

    device: torch.device
    rank: int
    world: int
    precision: PrecisionName = "auto"
    """What convolutions and products are computed in; weights and losses are always in full precision."""

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and logs."""
        return self.rank == 0

    @property
    def hardware(self) -> str:
        """What computes, for people: `2 x NVIDIA H100 80GB HBM3`, or `AMD EPYC 7B13, 2 threads`."""
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
            return name if self.world == 1 else f"{self.world} x {name}"
        return f"{processor_name()}, {self.world * torch.get_num_threads()} threads"

    @property
    def dtype(self) -> torch.dtype:
        """The precision: `auto` is bfloat16, or float16 on GPUs without it, or full precision on a processor."""
        if self.precision != "auto":
            return PRECISIONS[self.precision]
        if self.device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16

    @property
    def computes_in(self) -> PrecisionName:
        """The name of the precision that `auto` stands for here, or that was asked for."""
        if self.precision != "auto":
            return self.precision
        return next(name for name, dtype in PRECISIONS.items() if dtype == self.dtype)

    def autocast(self) -> torch.autocast:
        """The context that a network's forward pass runs in."""
        half = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype if half else torch.bfloat16, enabled=half)

    def scaler(self) -> torch.amp.GradScaler:
        """Scale losses so that gradients do not vanish in float16; nothing is scaled in other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def tune(self, *, deterministic: bool, search: bool = True) -> None:
        """Choose the fastest kernels of a GPU, or those that give the same bits each time; a processor always does.

        Args:
            deterministic: Whether the same bits are wanted.
            search: Whether convolutions try which kernels are fastest, which takes half a minute for a network; if not,
                cuDNN's own choice is taken.
        """
        if self.device.type != "cuda":
            return
        self.round_products()
        torch.backends.cudnn.benchmark = search and not deterministic
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            # An operation without a deterministic kernel runs with a warning that names it.
            torch.use_deterministic_algorithms(mode=True, warn_only=True)

    def round_products(self) -> None:
        """Let a GPU round the factors of products of float32 in the precision `tf32`, and only there."""
        # In half precision, what is computed in float32 is the head: its logits are to be full numbers.
        tf32 = self.precision == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to this device, in the layout that convolutions are fastest in (channels last)."""
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def send(self, tensor: Tensor) -> Tensor:
        """`tensor` on this device, without waiting for what a GPU is doing."""
        return to_device(tensor, self.device)

    def pixels(self, pixels: Tensor) -> Tensor:
        """Bytes (N, views, H, W, 3) as numbers in [0, 1] (N, views, 3, H, W) on this device.

        All photographs' first views come first in memory, as networks run them, and each channel is a plane: arithmetic
        on channels is fastest so, and the first convolution takes either layout.
        """
        moved = self.send(pixels).permute(1, 0, 4, 2, 3)
        planes = torch.empty(moved.shape, device=self.device).copy_(moved)
        return planes.div_(255.0).transpose(0, 1)

    def add_up(self, numbers: Tensor) -> Tensor:
        """The sum of `numbers` over all processes, in place; every process must call it equally often."""
        if self.world > 1:
            dist.all_reduce(numbers, dist.ReduceOp.SUM)
        return numbers

    def forget_peak(self) -> None:
        """Let `peak_mib` count from now on; possible on a GPU only."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_mib(self) -> float:
        """The peak of memory in MiB: of tensors on the GPU, or of this process since it began where there is none."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / MIB
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024) / MIB

    def any(self, flag: bool) -> bool:  # noqa: FBT001 (the value itself is what is shared)
        """Whether `flag` is set in any process, so that all end at the same step."""
        if self.world == 1:
            return flag
        shared = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return bool(shared.item())

    def wait_for_all(self) -> None:
        """Wait until every process has called this."""
        if self.world > 1:
            dist.barrier()


@contextlib.contextmanager
def joined() -> Iterator[Device]:
    """Yield this process's device; with torchrun, within a process group.

    Raises:
        TrainingError: this machine has fewer GPUs than processes.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
        # Every process raises it: those with a GPU would otherwise wait for the others.
        if here > gpus:
            raise TrainingError(
                f"{here} processes need a GPU each, and this machine shows {gpus}; lower training.processes"
            )
        torch.cuda.set_device(device)
    if world == 1:
        yield Device(device=device, rank=0, world=1)
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Device(device=device, rank=rank, world=world)
    finally:
        dist.destroy_process_group()
