"""Trains the rows, seed by seed, some at a time; what is done is not repeated, what was interrupted goes on."""

import hashlib
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.experiments.dataset import Dataset
from bench.experiments.rows import Row, Stage
from ml.child.pipes import Reporter
from ml.spec import RESULT_FILE, CalibrateResult, CalibrateSpec, TrainResult, TrainSpec

CODE = "3"
"""Raised by hand when a change of `ml` makes earlier runs incomparable."""
TARGET = 0.9
SECONDS_FILE = "seconds.json"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one row reached with one seed."""

    row: Row
    seed: int
    training: TrainResult
    calibration: CalibrateResult
    seconds: float
    """Of all stages and the calibration, beside the other trainings of that time."""


def train_all(
    rows: Sequence[Row], *, datasets: Iterable[Dataset], folder: Path, jobs: int, seconds: float | None
) -> list[Outcome]:
    """Train every row with every seed, `jobs` at a time, each on its share of the cores, in the order of the rows.

    Args:
        rows: What is trained, the most important first.
        datasets: The seeds.
        folder: Where runs are kept.
        jobs: Trainings at a time.
        seconds: No row begins after this time; the outcomes are those that there are.
    """
    ends = time.time() + seconds if seconds is not None else None
    wanted = [(row, dataset) for row in rows for dataset in datasets]
    outcomes = []
    # New processes: a GPU cannot be used by a fork of a process that has used it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_share_cores, initargs=(jobs,)) as pool:
        running: dict[Future[Outcome | None], str] = {
            pool.submit(train_row, row, dataset=dataset, folder=folder, ends=ends): f"{row.title}, seed {dataset.seed}"
            for row, dataset in wanted
        }
        for future in as_completed(running):
            try:
                outcome = future.result()
            except Exception as error:  # noqa: BLE001 (one row's failure is told, and the others go on)
                print(f"{running[future]} failed: {error!r}", file=sys.stderr, flush=True)
                continue
            if outcome is not None:
                outcomes.append(outcome)
                print(told(outcome), flush=True)
    place = [row.name for row in rows]
    return sorted(outcomes, key=lambda outcome: (place.index(outcome.row.name), outcome.seed))


def _share_cores(jobs: int) -> None:
    import torch  # noqa: PLC0415 (in the processes that train)

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def told(outcome: Outcome) -> str:
    """One line about an outcome."""
    numbers = outcome.training.metrics
    return (
        f"seed {outcome.seed}  {outcome.row.title}: species {numbers['top1']:.1%}, "
        f"genus {numbers['accuracy_genus']:.1%}, on training photographs {numbers['train_top1']:.1%}, "
        f"depth {outcome.calibration.evaluation_depth:.2f}, "
        f"{outcome.seconds:.0f} s"
    )


def train_row(row: Row, *, dataset: Dataset, folder: Path, ends: float | None) -> Outcome | None:
    """Train the stages of a row one after the other, then calibrate; None when the time is over.

    Raises:
        MlError: a stage failed.
    """
    from ml.devices import joined  # noqa: PLC0415 (in the processes that train)
    from ml.specificity import stage as specificity  # noqa: PLC0415
    from ml.training import train  # noqa: PLC0415

    if ends is not None and time.time() > ends:
        return None
    before: Path | None = None
    seconds = 0.0
    for stage in row.stages:
        spec = train_spec(row, stage, dataset=dataset, folder=folder, before=before)
        with _timed(spec.output) as timed, joined() as device:
            train.run(spec, device=device, reporter=timed.reporter, stop=threading.Event())
        seconds += timed.seconds
        before = spec.output / RESULT_FILE
    assert before is not None  # noqa: S101 (a row has a stage)
    calibration = calibrate_spec(before, dataset=dataset, network=row.stages[-1].network)
    with _timed(calibration.output) as timed:
        specificity.run(calibration, reporter=timed.reporter)
    return Outcome(
        row=row,
        seed=dataset.seed,
        training=TrainResult.read(before),
        calibration=CalibrateResult.read(calibration.output / RESULT_FILE),
        seconds=seconds + timed.seconds,
    )


class _timed:  # noqa: N801 (a context manager)
    """Adds up the seconds that a stage takes, in its folder, and writes what it says to `log.txt`."""

    def __init__(self, output: Path) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self._note, self._log = output / SECONDS_FILE, output / "log.txt"
        self.seconds = float(json.loads(self._note.read_text())) if self._note.exists() else 0.0
        self.reporter = Reporter(self._write)
        self._done = (output / RESULT_FILE).exists()

    def _write(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        if not self._done:
            self.seconds += time.monotonic() - self._began
            self._note.write_text(json.dumps(self.seconds), encoding="utf-8")


def train_spec(row: Row, stage: Stage, *, dataset: Dataset, folder: Path, before: Path | None) -> TrainSpec:
    """The specification of one stage; its hash covers all that decides the outcome, the stage before included."""
    rare = stage.rare and stage.recipe.rank != "species"
    decides = (
        CODE, dataset.version, dataset.seed, row.image_size, row.backbone, stage.recipe.model_dump(mode="json"),
        stage.mixing if before else None, rare, before.parent.name if before else None, row.options,
    )  # fmt: skip
    spec_hash = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]
    output = folder / "models" / spec_hash
    output.mkdir(parents=True, exist_ok=True)
    recipes = output / "recipe.json"
    recipes.write_text(json.dumps({stage.network: stage.recipe.model_dump(mode="json")}, indent=2), encoding="utf-8")
    options: dict[str, Any] = {"workers": 2} | dict(row.options)
    return TrainSpec(
        network=stage.network,
        split=dataset.table("split"),
        taxonomy=dataset.table("taxonomy"),
        photos=dataset.index,
        output=output,
        spec_hash=spec_hash,
        backbone=row.backbone,
        weights="package",
        recipe=str(recipes),
        mixing=stage.mixing,
        parent=before,
        rare_photos=dataset.table("genus_photos") if rare else None,
        image_size=row.image_size,
        features=folder / "features",
        seed=dataset.seed,
        tracking=None,
        **options,
    )


def calibrate_spec(result: Path, *, dataset: Dataset, network: str) -> CalibrateSpec:
    """The specificity calibration of a trained row."""
    trained = TrainResult.read(result)
    return CalibrateSpec(
        network=network,
        probabilities=trained.probabilities,
        predictions=trained.predictions,
        taxonomy=dataset.table("taxonomy"),
        split=dataset.table("split"),
        output=result.parent / "specificity",
        spec_hash=result.parent.name,
        target=TARGET,
        seed=dataset.seed,
        tracking=None,
    )
