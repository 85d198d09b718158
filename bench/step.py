"""The trainer's step against a bare PyTorch step of the same network, batch and optimiser; loading left out.

Steps alternate one by one in one process, so that other work on the machine disturbs all of them alike. The trainer's
optimiser is also measured alone, against torch's.
"""

import statistics
import tempfile
import threading
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
from ml.images.augmentation import RandomChanges
from ml.images.loader import Batch, Loader
from ml.images.pack import Pack, Photos
from ml.networks.description import NetworkSpec
from ml.networks.network import Network, build
from ml.networks.trainable import freeze, set_training_mode
from ml.spec import TrackingSpec, TrainSpec
from ml.training import optimiser
from ml.training.job import Job
from ml.training.loop import Loop
from ml.training.optimiser import TFAdam
from ml.training.recipes import SAMPLE, Recipe

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


PROCESSOR = Device(device=torch.device("cpu"), rank=0, world=1)


class Cost(NamedTuple):
    """Of one call, in seconds."""

    wall: float
    cpu: float


class Bare:
    """A step as every tutorial writes it."""

    def __init__(self, recipe: Recipe, *, prepare: Callable[[], Tensor], labels: Tensor) -> None:
        """Train on what `prepare` returns."""
        self.network = network(recipe)
        self.optimiser = optimiser.create(self.network, recipe)
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
    freeze(built, trainable=recipe.trainable, branches=recipe.branches)
    set_training_mode(built, branches=recipe.branches, batch_norm_frozen=recipe.batch_norm_frozen)
    return built.to(memory_format=torch.channels_last)


def run(*, folder: Path, runs: int) -> Report:
    """Measure steps and optimisers; `runs` times as many."""
    del folder
    torch.manual_seed(0)
    positions = np.arange(BATCH, dtype=np.int64)
    labels = torch.randint(CLASSES, (BATCH,))
    batch = Batch(
        pixels=torch.randint(256, (BATCH, 1, SIDE, SIDE, 3), dtype=torch.uint8),
        labels=labels,
        positions=positions,
        unreadable=(),
    )
    with tempfile.TemporaryDirectory() as temporary:
        job = job_of(Path(temporary), recipe=RECIPE, built=network(RECIPE), labels=labels, device=PROCESSOR)
        changes = RandomChanges(RECIPE.augmentation, seed=0, stage="species", epoch=0)

        def augmented_pixels() -> Tensor:
            return job.loader.inputs(batch.pixels, positions=positions, changes=changes)

        loop, ready = Loop(job), augmented_pixels()
        bare = Bare(RECIPE, prepare=lambda: ready, labels=labels)
        prepared = Bare(RECIPE, prepare=augmented_pixels, labels=labels)
        with meter("bench", total=0, reporter=job.reporter) as progress:
            times = _alternate(
                {
                    "bare step, pixels ready": bare,
                    "bare step after the same augmentation": prepared,
                    "the trainer's step": lambda: loop.step(batch, changes=changes, progress=progress),
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


def job_of(
    folder: Path, *, recipe: Recipe, built: Network, labels: Tensor, device: Device, cuda_graph: bool = True
) -> Job:
    """A training of photographs that are nowhere: whoever takes a step brings the batch."""
    count = len(labels)
    photos = Photos(
        photo_ids=[str(number) for number in range(count)],
        labels=labels.numpy(),
        halves=[None] * count,
        rows=np.arange(count, dtype=np.int64),
    )
    # A rate for every step that may be asked for.
    long = recipe.model_copy(update={"segments": (recipe.segments[0].model_copy(update={"epochs": 1e6}),)})
    spec = TrainSpec(
        network="baseline", split=folder, taxonomy=folder, photos=folder, output=folder, spec_hash="",
        backbone=built.spec.backbone, weights="none", recipe="sample", image_size=built.spec.image_size, seed=0,
        workers=0, cuda_graph=cuda_graph, tracking=TrackingSpec(uri="", experiment="", parent_run_id="", stage=""),
    )  # fmt: skip
    return Job(
        spec=spec,
        recipe=long,
        network=built,
        photos=photos,
        loader=Loader(cast("Pack", None), built.spec, device=device, workers=0),
        device=device,
        reporter=Reporter(lambda _: None),
        stop=threading.Event(),
        checkpoint_seconds=float("inf"),
    )


def _adams() -> dict[str, Callable[[], object]]:
    """The step of TFAdam and of torch's Adam over the parameters of the network, all with gradients."""

    def over(create: Callable[[list[dict[str, object]]], torch.optim.Optimizer]) -> torch.optim.Optimizer:
        parameters = list(network(RECIPE).parameters())
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        return create([{"params": parameters, "weight_decay": 4e-5}])

    optimisers = {
        "TFAdam alone": over(TFAdam),
        "torch.optim.Adam(foreach) alone": over(lambda groups: torch.optim.Adam(groups, lr=0.01, foreach=True)),
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
