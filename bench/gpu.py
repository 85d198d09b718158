"""The paper's networks on a GPU: the trainer's step beside a bare step recorded as a CUDA graph, and their memory.

InceptionResNetV2 at 299 pixels with 19,027 classes and the auxiliary classifier, random weights and pixels, in the
precision that training takes by itself. Each rate is that of many steps that follow one another, as in training.
"""

import datetime as dt
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.cards import Measurement, append
from bench.harness import Goal, Report, UnavailableError
from bench.step import job_of
from ml.child.pipes import Reporter
from ml.child.progress import meter
from ml.devices import Device
from ml.images.augmentation import RandomChanges
from ml.images.loader import Batch
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.networks.trainable import set_training_mode
from ml.training.loop import Loop
from ml.training.recipes import PAPER, PAPER_VIEWS, Recipe
from ml.training.step import Objective, Replayed, beside

BACKBONE, CLASSES, SIDE = "inception_resnet_v2", 19_027, 299
ROUNDS = 3
"""Measurements of each contestant in one run."""
SECONDS = 1.0
"""Of each measurement."""
CASES: Final = ((1, 32), (2, 16), (1, 128), (2, 128))
"""Views and photographs of a step: the paper's, and what fills the card."""
WANTED: Final = {(1, 32): (800, 4.5), (2, 16): (330, 4.7)}
"""Photographs a second on an H100 at least, and GiB at most (what the eager step took)."""
ALLOWED: Final = 1.1
PRECISIONS: Final = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One contestant."""

    milliseconds: float
    """Of a step, the median."""
    gibibytes: float
    """Peak of the memory that tensors take, from the network on."""


def run(*, folder: Path, runs: int) -> Report:
    """Measure the steps; `runs` times as often."""
    del folder
    if not torch.cuda.is_available():
        raise UnavailableError("there is no GPU")
    device = Device(device=torch.device("cuda"), rank=0, world=1)
    device.tune(deterministic=False)
    rows: list[dict[str, object]] = []
    goals: list[Goal] = []
    for views, batch in CASES:
        measured = steps(views=views, batch=batch, device=device, rounds=ROUNDS * runs)
        rows += [
            {
                "views": views, "batch": batch, "step": name, "milliseconds": round(each.milliseconds, 1),
                "photographs a second": round(1000 * batch / each.milliseconds), "GiB": round(each.gibibytes, 1),
            }
            for name, each in measured.items()
        ]  # fmt: skip
        append(_records(measured, views=views, batch=batch, precision=device.dtype))
        if (views, batch) in WANTED:
            goals += _goals(measured, views=views, batch=batch)
    return Report(
        part="gpu",
        title=f"{BACKBONE} at {SIDE} pixels, {CLASSES:,} classes, on one {torch.cuda.get_device_name()}, "
        f"{str(device.dtype).removeprefix('torch.')}, torch {torch.__version__}.",
        rows=rows,
        goals=goals,
        notes=[
            "Medians of three measurements, each of many steps in a row.",
            "bare: forward, backward and torch's fused Adam over pixels that are ready on the GPU.",
            "the trainer's: bytes to the GPU, colours, standardising, the step, the check of the loss, progress.",
            "recorded: as a CUDA graph, replayed.",
        ],
    )


def _records(measured: dict[str, Measured], *, views: int, batch: int, precision: torch.dtype) -> Iterator[Measurement]:
    """The trainer's steps, for `results/cards.yaml`."""
    paths: dict[str, Literal["eager", "captured"]] = {
        "the trainer's": "eager", "the trainer's, recorded": "captured",
    }  # fmt: skip
    for name, path in paths.items():
        each = measured[name]
        yield Measurement(
            card=torch.cuda.get_device_name(), torch=torch.__version__, backbone=BACKBONE, image_size=SIDE,
            classes=CLASSES, views=views, batch=batch, path=path, precision=PRECISIONS[precision],
            milliseconds=round(each.milliseconds, 1), photos_per_second=round(1000 * batch / each.milliseconds),
            peak_gib=round(each.gibibytes, 1), date=dt.datetime.now(tz=dt.UTC).date(),
        )  # fmt: skip


def _goals(measured: dict[str, Measured], *, views: int, batch: int) -> list[Goal]:
    rate, memory = WANTED[views, batch]
    ours, bare = measured["the trainer's, recorded"], measured["bare, recorded"]
    name = f"{views} view{'s' if views > 1 else ''}, batch {batch}"
    ratio = ours.milliseconds / bare.milliseconds
    return [
        Goal(name=f"{name}: photographs a second", value=1000 * batch / ours.milliseconds, bound=rate, kind="at least"),
        Goal(name=f"{name}: trainer's step / bare recorded step", value=ratio, bound=ALLOWED, kind="at most"),
        Goal(name=f"{name}: GiB", value=ours.gibibytes, bound=memory, kind="at most"),
    ]


def steps(*, views: int, batch: int, device: Device, rounds: int) -> dict[str, Measured]:
    """What a step of the paper's recipe costs, eager and recorded, bare and the trainer's."""
    recipe = (PAPER if views == 1 else PAPER_VIEWS).model_copy(update={"batch": batch})
    labels = torch.randint(CLASSES, (batch,))
    # Some batches in turn, as a loader delivers them.
    pixels = [
        torch.randint(256, (views, batch, SIDE, SIDE, 3), dtype=torch.uint8).pin_memory().transpose(0, 1)
        for _ in range(4)
    ]
    network = paper_network(recipe, device=device)
    times: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    contestants = {
        "bare": lambda: bare(recipe, network=network, labels=labels, device=device, recorded=False),
        "bare, recorded": lambda: bare(recipe, network=network, labels=labels, device=device, recorded=True),
        "the trainer's": lambda: trainers(
            recipe, network=network, pixels=pixels, labels=labels, device=device, recorded=False
        ),
        "the trainer's, recorded": lambda: trainers(
            recipe, network=network, pixels=pixels, labels=labels, device=device, recorded=True
        ),
    }
    # One at a time is on the card: its memory is measured, too.
    create: Callable[[], Callable[[], object]]
    for name, create in contestants.items():
        network.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        step = create()
        times[name] = [_milliseconds(step) for _ in range(rounds)]
        memory[name] = torch.cuda.max_memory_allocated() / 2**30
        del step
    return {
        name: Measured(milliseconds=statistics.median(taken), gibibytes=memory[name]) for name, taken in times.items()
    }


def bare(recipe: Recipe, *, network: Network, labels: Tensor, device: Device, recorded: bool) -> Callable[[], object]:
    """A step as every tutorial writes it, over pixels that are ready, with the optimiser of torch."""
    adam = torch.optim.Adam(network.parameters(), lr=torch.zeros((), device=device.device), fused=True, capturable=True)
    objective = Objective(network, loss=nn.CrossEntropyLoss(), auxiliary_weight=recipe.auxiliary_weight)
    inputs = torch.randn(len(recipe.views), len(labels), 3, SIDE, SIDE, device=device.device).transpose(0, 1)
    targets = device.send(labels)

    def update(pixels: Tensor, wanted: Tensor) -> Tensor:
        adam.zero_grad(set_to_none=True)
        with device.autocast():
            loss, _ = objective(pixels, wanted)
        loss.backward()
        adam.step()
        value: Tensor = loss.detach()
        return value

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with beside(stream):
        for _ in range(3):
            update(inputs, targets)
    if not recorded:
        return lambda: update(inputs, targets)
    replayed = Replayed(update, inputs=inputs, targets=targets, stream=stream)
    return lambda: replayed(inputs, targets)


def trainers(
    recipe: Recipe, *, network: Network, pixels: list[Tensor], labels: Tensor, device: Device, recorded: bool
) -> Callable[[], object]:
    """The step of the training loop, from bytes in pinned memory on."""
    with tempfile.TemporaryDirectory() as temporary:
        loop = Loop(
            job_of(Path(temporary), recipe=recipe, built=network, labels=labels, device=device, cuda_graph=recorded)
        )
    positions = np.arange(len(labels), dtype=np.int64)
    batches = [Batch(pixels=each, labels=labels, positions=positions, unreadable=()) for each in pixels]
    changes = RandomChanges(recipe.augmentation, seed=0, stage="species", epoch=0)
    progress = meter("bench", total=0, reporter=Reporter(lambda _: None)).__enter__()
    taken = 0

    def step() -> None:
        nonlocal taken
        loop.step(batches[taken % len(batches)], changes=changes, progress=progress)
        taken += 1

    for _ in range(6):
        step()
    return step


def paper_network(recipe: Recipe, *, device: Device) -> Network:
    """The network of all contestants, ready for training."""
    torch.manual_seed(0)
    shape = recipe.model_dump(include={"views", "dropout", "batch_norm_momentum", "batch_norm_eps"})
    network = build(NetworkSpec(backbone=BACKBONE, classes=CLASSES, image_size=SIDE, auxiliary=True, **shape))
    set_training_mode(network, branches=recipe.branches, batch_norm_frozen=False)
    device.place(network)
    return network


def _milliseconds(step: Callable[[], object]) -> float:
    """Of one step, over as many as fit into the time."""
    torch.cuda.synchronize()
    begun, taken = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        for _ in range(5):
            step()
        # The processor must not run minutes ahead.
        torch.cuda.synchronize()
        taken += 5
    return 1000 * (time.perf_counter() - begun) / taken
