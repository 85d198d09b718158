"""Which GPUs this machine has, and which of them a training may use: its own, while it runs.

Trainings of several runs, scopes and accounts may share a machine. Each GPU has two files in the temporary folder. The
launching process locks the first (`claim`), with a line that says who it is; the training's processes share a lock of
the second (`use`; `ml.__main__`). The kernel releases both when the processes end, however they end: a GPU is free
once the launcher is gone and nothing that it started computes any more.
"""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from ml.spec import DEVICE_LOCKS
from pipeline.errors import PoolError

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
"""The GPUs that CUDA shows to a process: indices, or identifiers as `nvidia-smi -L` prints them."""
DRIVER: Final = Path("/proc/driver/nvidia/gpus")
"""A folder per GPU, made by NVIDIA's driver."""
ASK_SECONDS: Final = 60.0
"""How long `nvidia-smi` may take."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU, or the part of one that NVIDIA's MIG makes."""

    name: str
    """What `CUDA_VISIBLE_DEVICES` calls it."""
    identifier: str
    """Its UUID, the same for every process of the machine: `GPU-...` or `MIG-...`."""

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a GPU; CUDA shows one such part to a process."""
        return self.identifier.startswith("MIG-")


def may_have_gpus() -> bool:
    """Whether NVIDIA's driver or its tool is there; unlike `gpus`, it starts nothing."""
    return DRIVER.exists() or shutil.which("nvidia-smi") is not None


def gpus(environment: Mapping[str, str] = os.environ) -> list[Gpu]:
    """The GPUs that trainings may use; those that the operator names in `CUDA_VISIBLE_DEVICES`, in that order.

    Without NVIDIA's driver there are none, and trainings compute on the processor. A GPU that is divided by MIG stands
    for its parts. As in CUDA, what follows an entry that names nothing does not count.
    """
    installed = _installed()
    chosen = environment.get(VISIBLE)
    if chosen is None:
        return [Gpu(name=each, identifier=each) for parts in installed.values() for each in parts]
    visible: list[Gpu] = []
    for entry in filter(None, (part.strip() for part in chosen.split(","))):
        identifier = _named(entry, installed)
        if identifier is None:
            break
        visible.append(Gpu(name=entry, identifier=identifier))
    return visible


def slots(*, processes: int, environment: Mapping[str, str] = os.environ) -> int:
    """How many trainings of `processes` processes these GPUs take side by side; 1 where there are none, or too few."""
    return max(1, len(_usable(gpus(environment), processes=processes)) // processes)


def decoding_workers(*, processes: int, environment: Mapping[str, str] = os.environ) -> int | None:
    """Decoding workers for each process of a training: its share of the cores, less one, and at least one.

    None where one training runs at a time: its processes divide the cores among themselves.
    """
    trainings = slots(processes=processes, environment=environment)
    if trainings == 1:
        return None
    # `os.sched_getaffinity` is Linux's.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // (trainings * processes) - 1)


@contextlib.contextmanager
def reserved(
    *, processes: int, what: str, say: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> Iterator[dict[str, str]]:
    """Have `processes` GPUs to oneself while the block runs, and wait for them if others have them.

    Args:
        processes: One GPU for each.
        what: Who asks, for people who wait for the same GPUs.
        say: Told once a minute what is waited for.
        environment: Where `CUDA_VISIBLE_DEVICES` is looked up.

    Yields:
        Variables for the training's environment; none on a machine without a GPU.

    Raises:
        PoolError: this machine has fewer GPUs, or others had them for all of `pools.WAIT_SECONDS`.
    """
    visible = gpus(environment)
    if not visible:
        yield {}
        return
    usable = _usable(visible, processes=processes)
    if len(usable) < processes:
        number = "one GPU" if len(visible) == 1 else f"{len(visible)} GPUs"
        parts = ", which are parts (MIG) and no whole ones" if len(usable) < len(visible) else ""
        raise PoolError(
            f"training.processes is {processes}, and trainings can use {number} here{parts}; lower it"
            + (f", or change {VISIBLE}" if VISIBLE in environment else "")
        )
    with contextlib.ExitStack() as held:
        taken = _wait(usable, count=processes, what=what, say=say, held=held)
        yield {
            VISIBLE: ",".join(each.name for each in taken),
            DEVICE_LOCKS: os.pathsep.join(str(_file(each, "use")) for each in taken),
        }


def _usable(visible: Sequence[Gpu], *, processes: int) -> list[Gpu]:
    """Several processes need whole GPUs: CUDA shows one part of a GPU to a process, and NCCL takes none."""
    return [each for each in visible if processes == 1 or not each.is_part]


def _wait(
    usable: Sequence[Gpu], *, count: int, what: str, say: Callable[[str], None], held: contextlib.ExitStack
) -> list[Gpu]:
    """Claim the first `count` GPUs that are free, all or none, so that two who wait never hold each other up."""
    from pipeline.launching import pools  # noqa: PLC0415 (it loads Dagster, which to count GPUs does not need)

    began, said = time.monotonic(), -pools.SAY_SECONDS
    wanted = f"{'a free GPU' if count == 1 else f'{count} free GPUs'} of {len(usable)}"
    while True:
        claims: dict[Gpu, IO[bytes]] = {}
        with contextlib.ExitStack() as opened:
            for each in usable:
                if len(claims) < count and (claim := _claim(each, opened=opened)) is not None:
                    claims[each] = claim
            if len(claims) == count:
                for claim in claims.values():
                    claim.truncate(0)
                    claim.write(f"{what} ({pools.this_process()})".encode())
                held.push(opened.pop_all())
                return list(claims)
        now = time.monotonic()
        names = "; ".join(dict.fromkeys(_holder(each) for each in usable if each not in claims))
        if now - began > pools.WAIT_SECONDS:
            raise PoolError(
                f"{what} has waited {pools.WAIT_SECONDS / 60:.0f} minutes for {wanted}; the others are held by "
                f"{names}: wait until one has ended, or end it, and run the same command again"
            )
        if now - said >= pools.SAY_SECONDS:
            said = now
            say(f"{what} waits for {wanted}, held by {names} (at most {pools.WAIT_SECONDS / 60:.0f} minutes)")
        time.sleep(pools.LOOK_SECONDS)


def _claim(gpu: Gpu, *, opened: contextlib.ExitStack) -> IO[bytes] | None:
    """Lock a GPU's files; None if another process has them."""
    claim, use = (opened.enter_context(_opened(_file(gpu, kind))) for kind in ("claim", "use"))
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The training shares this lock as soon as it runs; until then the claim is enough.
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(claim, fcntl.LOCK_UN)
        return None
    fcntl.flock(use, fcntl.LOCK_UN)
    return claim


def _holder(gpu: Gpu) -> str:
    """Who claimed a GPU last; the training that it started may go on after it."""
    return _file(gpu, "claim").read_text(encoding="utf-8", errors="replace").strip() or "an unknown process"


def _file(gpu: Gpu, kind: str) -> Path:
    return Path(tempfile.gettempdir()) / f"naturewatch-{re.sub('[^A-Za-z0-9-]', '_', gpu.identifier)}.{kind}"


def _opened(path: Path) -> IO[bytes]:
    """A file that every account of the machine may lock, made where it is missing. It stays: others may wait for it."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        # Without O_CREAT: Linux refuses that for another account's file in a folder that all may write to.
        return os.fdopen(os.open(path, flags), "r+b", buffering=0)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return _opened(path)
    # Whatever the mask of this account is.
    os.fchmod(descriptor, 0o666)
    return os.fdopen(descriptor, "r+b", buffering=0)


def _installed() -> dict[str, list[str]]:
    """UUID of each GPU, in the order of its index, to those of its parts, or to itself where it is whole."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=ASK_SECONDS, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        # The driver without its tool, as in some containers; without both, CUDA finds no GPU either.
        found = [path.read_text(encoding="utf-8") for path in sorted(DRIVER.glob("*/information"))]
        uuids = [
            match.group(1) for text in found if (match := re.search(r"^GPU UUID:\s*(GPU-\S+)", text, re.MULTILINE))
        ]
        return {uuid: [uuid] for uuid in uuids}
    installed: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        match = re.search(r"\(UUID: ((?:GPU|MIG)-[^)\s]+)\)", line)
        if match is None:
            continue
        if line.startswith("GPU "):
            gpu = match.group(1)
            installed[gpu] = []
        elif installed:
            installed[gpu].append(match.group(1))
    return {gpu: parts or [gpu] for gpu, parts in installed.items()}


def _named(entry: str, installed: Mapping[str, list[str]]) -> str | None:
    """The UUID of what an entry of `CUDA_VISIBLE_DEVICES` names: an index, or the beginning of a UUID."""
    if re.fullmatch(r"\d+", entry):
        every = list(installed.values())
        # Of a divided GPU, CUDA shows the first part.
        return every[int(entry)][0] if int(entry) < len(every) else None
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    uuids = {each: each for parts in installed.values() for each in parts}
    uuids |= {gpu: parts[0] for gpu, parts in installed.items()}
    found = {uuid for name, uuid in uuids.items() if name.startswith(entry)}
    return found.pop() if len(found) == 1 else None
