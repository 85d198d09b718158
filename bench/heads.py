"""A head for 20,000 species on the embeddings of a million photographs: memory over the steps, and what a pass costs.

The embeddings are random; they are written in the form of `ml.networks.embeddings` and read as a training reads them. A
bounded number of steps shows the memory: the pieces that are mixed, the head, and its optimiser take all they will.
"""

import json
import resource
import shutil
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

from bench.harness import Goal, Report, measure
from ml.child.pipes import Reporter
from ml.child.progress import Meter
from ml.devices import Device
from ml.images.pack import Photos
from ml.networks.embeddings import PIECE, Pass, Piece, read_piece, write_piece
from ml.training.feature_rows import Moments, Streamed
from ml.training.head_fit import exact_bytes
from ml.training.head_solvers import BATCH, Problem, solve_in_batches
from ml.training.recipes import Probe

PHOTOS, CLASSES, FEATURES = 1_000_000, 20_000, 1_280
STEPS = 40
"""Several times as many rows as are mixed with one another."""
SHOWN = 5
"""Steps between two looks at the memory."""
GROWTH = 1.05
MIB = 2**20
DEFAULT = int(Probe.model_fields["passes"].default)


@dataclass(frozen=True)
class Stored:
    """Pieces in a folder, by their numbers."""

    folder: Path

    def file(self, number: int) -> Path:
        """Where a piece is."""
        return self.folder / f"{number:06d}.safetensors"

    def piece(self, of: Pass, number: int) -> Piece:
        """A piece of the only pass."""
        del of
        found = read_piece(self.file(number), begin=number * PIECE)
        assert found is not None  # noqa: S101 (written before)
        return found


class Watched(Meter):
    """Notes the resident memory from time to time."""

    def __init__(self, *, every: int) -> None:
        """Look after every so many steps."""
        super().__init__(title="head", total=1, reporter=Reporter(lambda _: None), bar=None)
        self.every, self.steps, self.rss = every, 0, dict[int, int]()

    def advance(self, photos: int, *, note: str = "") -> None:
        """Count a step."""
        super().advance(photos, note=note)
        self.steps += 1
        if self.steps % self.every == 0:
            self.rss[self.steps] = psutil.Process().memory_info().rss


def run(*, folder: Path, runs: int) -> Report:
    """Write the embeddings, and take some steps in a process of its own."""
    del runs
    one = _pass()
    stored = Stored(folder)
    started = time.monotonic()
    for number in range(one.pieces):
        positions = one.positions(number)
        drawn = torch.randn(len(positions), FEATURES, generator=torch.Generator().manual_seed(number))
        write_piece(stored.file(number), Piece(drawn, positions, {}), begin=int(positions[0]))
    written = time.monotonic() - started
    size = sum(file.stat().st_size for file in folder.iterdir())
    sample = measure([sys.executable, "-m", "bench.heads", str(folder)])
    shutil.rmtree(folder)
    facts = sample.facts
    steps = {name: value for name, value in facts.items() if name.startswith("after step ")}
    values = list(steps.values())
    # The second look: by then every buffer has been needed once.
    growth = max(values[2:]) / values[1]
    passes = PHOTOS / BATCH
    return Report(
        part="heads",
        title=(
            f"A linear head of {CLASSES:,} classes on {PHOTOS:,} embeddings of {FEATURES:,} features, in mini-batches "
            f"of {BATCH:,} read from disk, {STEPS} steps."
        ),
        rows=[
            {"when": "before the first step", "resident memory, MiB": facts["before"]},
            *({"when": name, "resident memory, MiB": value} for name, value in steps.items()),
        ],
        goals=[
            Goal(
                name="largest resident memory after the tenth step / at the tenth step", value=growth, bound=GROWTH,
                kind="at most",
            ),
            Goal(name="resident memory, MiB", value=max(values), bound=2_048, kind="at most"),
        ],
        notes=[
            f"On disk: {size / 1e9:.1f} GB in {one.pieces:,} files, written in {written:.0f} s.",
            (
                f"A step: {facts['cpu'] / STEPS:.2f} CPU-seconds, {facts['wall'] / STEPS:.2f} s. A pass over all: "
                f"{facts['cpu'] / STEPS * passes:,.0f} CPU-seconds; {DEFAULT} passes, the default: "
                f"{DEFAULT * facts['cpu'] / STEPS * passes / 3600:,.1f} CPU-hours."
            ),
            (
                "Solved exactly in memory, the same problem would take "
                f"{exact_bytes(photos=PHOTOS, features=FEATURES, classes=CLASSES) / 2**30:.0f} GiB."
            ),
            "A step is 6 x 1,024 x 1,280 x 20,000 = 157 GFLOP, so that its time is that of three matrix products.",
        ],
    )  # fmt: skip


def _pass() -> Pass:
    labels = np.random.default_rng(0).integers(0, CLASSES, PHOTOS)
    photos = Photos(
        photo_ids=[str(number) for number in range(PHOTOS)],
        labels=labels,
        halves=[None] * PHOTOS,
        rows=np.arange(PHOTOS, dtype=np.int64),
    )
    return Pass(photos)


def steps(folder: Path) -> None:
    """Take the steps, and print the memory and the time as JSON."""
    device = Device(device=torch.device("cpu"), rank=0, world=1)
    rows = Streamed(
        Stored(folder), [_pass()], device=device, folds=np.zeros(PHOTOS, np.int64), stop=threading.Event(),
        moments=Moments(torch.zeros(FEATURES), torch.ones(FEATURES), PHOTOS),
    )  # fmt: skip
    head = torch.nn.Linear(FEATURES, CLASSES)
    problem = Problem(head=head, rows=rows, weight_decay=0.01, pull=None, device=device, stop=threading.Event())
    watched = Watched(every=SHOWN)
    before = psutil.Process().memory_info().rss
    used, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    solve_in_batches(problem, passes=DEFAULT, seed=0, progress=watched, most_steps=STEPS)
    end = resource.getrusage(resource.RUSAGE_SELF)
    facts = {"before": before / MIB} | {f"after step {step}": rss / MIB for step, rss in watched.rss.items()}
    cpu = end.ru_utime + end.ru_stime - used.ru_utime - used.ru_stime
    print(json.dumps(facts | {"cpu": cpu, "wall": time.monotonic() - started}))


if __name__ == "__main__":
    steps(Path(sys.argv[1]))
