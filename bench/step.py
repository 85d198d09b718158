"""The trainer's step against a bare PyTorch step of the same network, batch and optimiser; loading left out.

Steps alternate one by one in one process, so that the machine's mood hits all of them alike. The trainer's optimiser is
also measured alone, against torch's.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from bench.harness import Goal, Report, median_and_spread
from ml.child.pipes import Reporter
from ml.child.progress import meter
from ml.devices import Device
from ml.images import augmentation as augment
from ml.images import loader as data
from ml.images.loader import Pack, Photos
from ml.networks.network import Network, NetworkSpec, build
from ml.training import optimiser
from ml.training.checkpoints import Position
from ml.training.job import Job
from ml.training.loop import Loop, freeze, objective, set_training_mode
from ml.training.optimiser import TFAdam
from ml.training.recipes import SAMPLE, Recipe
from ml.training.steps import Steps

BACKBONE, CLASSES, SIDE, BATCH = "tf_efficientnet_lite0", 200, 128, 16
ROUNDS = 8
"""Steps of each contestant in one run."""
ALLOWED = 1.05
RECIPE = SAMPLE.model_copy(update={"batch": BATCH, "label_smoothing": 0.0, "trainable": 1.0, "probe": None})
"""All of the network is trained, by the optimiser of the `sample` recipes."""
ALL_OF_IT = (
    "The trainer's step is all that runs per batch once it is decoded: bytes to the device, colours, "
    "normalising, loss, both passes, optimiser, the check of the loss, progress, and looking whether to stop or to "
    "save. Decoding is measured by the part `load`."
)


class Cost(NamedTuple):
    """Of one call, in seconds."""

    wall: float
    cpu: float


class Bare:
    """A step as every tutorial writes it."""

    def __init__(self, recipe: Recipe, *, prepare: Callable[[], Tensor], labels: Tensor) -> None:
        """Train on what `prepare` returns."""
        self.network = network(recipe)
        self.optimiser = optimiser.create(
            self.network, name=recipe.optimiser, weight_decay=recipe.weight_decay, eps=recipe.eps
        )
        self.prepare, self.labels = prepare, labels

    def __call__(self) -> None:
        """Take a step."""
        pixels = self.prepare()
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.network(pixels), self.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        loss.item()


def network(recipe: Recipe) -> Network:
    """The network of all contestants, ready for training."""
    torch.manual_seed(0)
    built = build(NetworkSpec(backbone=BACKBONE, classes=CLASSES, image_size=SIDE, views=recipe.views))
    freeze(built, recipe=recipe)
    set_training_mode(built, recipe=recipe)
    return built.to(memory_format=torch.channels_last)


def run(*, folder: Path, runs: int) -> Report:
    """Measure steps and optimisers; `runs` times as many."""
    del folder
    torch.manual_seed(0)
    positions = np.arange(BATCH, dtype=np.int64)
    labels = torch.randint(CLASSES, (BATCH,))
    batch = data.Batch(
        pixels=torch.randint(256, (BATCH, 1, SIDE, SIDE, 3), dtype=torch.uint8),
        labels=labels,
        positions=positions,
        unreadable=(),
    )
    with tempfile.TemporaryDirectory() as temporary:
        job = _job(Path(temporary), labels=labels)
        draws = augment.Draws(seed=0, epoch=0)
        random = np.stack([draws.of(int(position)) for position in positions])
        created = optimiser.create(job.network, name=RECIPE.optimiser, weight_decay=RECIPE.weight_decay, eps=RECIPE.eps)
        steps = Steps(job=job, model=objective(job), optimiser=created, scaler=job.device.scaler())
        loop = Loop(job=job, steps=steps, position=Position(step=0), history=[])
        ready = steps.inputs(batch.pixels, random=random)
        bare = Bare(RECIPE, prepare=lambda: ready, labels=labels)
        prepared = Bare(RECIPE, prepare=lambda: steps.inputs(batch.pixels, random=random), labels=labels)
        with meter("bench", total=0, reporter=job.reporter) as progress:
            times = _alternate(
                {
                    "bare step, pixels ready": bare,
                    "bare step after the same augmentation": prepared,
                    "the trainer's step": lambda: loop.step(batch, draws=draws, progress=progress),
                },
                rounds=ROUNDS * runs,
            )
        adams = _alternate(_adams(), rounds=ROUNDS * runs)
    base, augmented, ours = times.values()
    machinery, whole = _ratio(ours, augmented), _ratio(ours, base)
    return Report(
        part="step",
        title=(
            f"One step of {BACKBONE}, {BATCH} photographs of {SIDE} pixels, {CLASSES} classes, AdamW, "
            f"on {torch.get_num_threads()} threads."
        ),
        rows=[
            {
                "what": name,
                "milliseconds": median_and_spread([1000 * cost.wall for cost in costs], digits=1),
                "CPU milliseconds": median_and_spread([1000 * cost.cpu for cost in costs], digits=1),
            }
            for name, costs in (times | adams).items()
        ],
        goals=[
            Goal(name="trainer's step / bare step, same augmentation", value=machinery, bound=ALLOWED, kind="at most"),
            Goal(name="trainer's step / bare step, pixels ready", value=whole, bound=ALLOWED, kind="at most"),
        ],
        notes=[
            "Ratios are medians over rounds of neighbouring steps.",
            ALL_OF_IT,
            (
                "By CPU time, which other work on the machine disturbs less: "
                f"{_ratio(ours, augmented, cpu=True):.3f} times the step after the same augmentation, "
                f"{_ratio(ours, base, cpu=True):.3f} times the one with pixels ready."
            ),
            f"Augmentation on the device: {100 * (_ratio(augmented, base) - 1):.1f} % of a bare step.",
        ],
    )


def _job(folder: Path, *, labels: Tensor) -> Job:
    photos = Photos(
        photo_ids=[str(number) for number in range(BATCH)],
        labels=labels.numpy(),
        halves=[None] * BATCH,
        rows=np.arange(BATCH, dtype=np.int64),
    )
    # A rate for every step that may be asked for.
    long = RECIPE.model_copy(update={"segments": (RECIPE.segments[0].model_copy(update={"epochs": 1e6}),)})
    return Job(
        network=network(RECIPE),
        recipe=long,
        pack=cast("Pack", None),
        photos=photos,
        folder=folder,
        spec_hash="",
        seed=0,
        workers=0,
        device=Device(device=torch.device("cpu"), rank=0, world=1),
        reporter=Reporter(lambda _: None),
        checkpoint_seconds=float("inf"),
    )


def _adams() -> dict[str, Callable[[], object]]:
    """The step of TFAdam and of torch's Adam over the parameters of the network, all with gradients."""

    def over(create: Callable[[list[dict[str, object]]], torch.optim.Optimizer]) -> torch.optim.Optimizer:
        parameters = list(network(RECIPE).parameters())
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        return create([{"params": parameters}])

    optimisers = {
        "TFAdam alone": over(lambda groups: TFAdam(groups, lr=0.01, weight_decay=4e-5)),
        "torch.optim.Adam(foreach) alone": over(
            lambda groups: torch.optim.Adam(groups, lr=0.01, weight_decay=4e-5, foreach=True)
        ),
        "AdamW(fused) alone": over(lambda groups: torch.optim.AdamW(groups, lr=0.01, fused=True)),
        "AdamW(foreach) alone": over(lambda groups: torch.optim.AdamW(groups, lr=0.01, foreach=True)),
    }
    return {name: optimiser_.step for name, optimiser_ in optimisers.items()}


def _alternate(contestants: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, list[Cost]]:
    """The cost of each call; a first round of each is not counted."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            started, before = time.perf_counter(), time.process_time()
            contestant()
            if number:
                costs[name].append(Cost(time.perf_counter() - started, time.process_time() - before))
    return costs


def _ratio(ours: list[Cost], theirs: list[Cost], *, cpu: bool = False) -> float:
    column = 1 if cpu else 0
    return statistics.median(mine[column] / other[column] for mine, other in zip(ours, theirs, strict=True))
