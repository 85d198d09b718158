"""Trains the rows, seed by seed: the pipeline's own child processes do the work, and what is done is not repeated."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.experiments.rows import IMAGE_SIZE, Row, Stage
from ml.spec import RESULT_FILE, CalibrateResult, CalibrateSpec, TrainResult, TrainSpec
from pipeline.config.settings import Settings, load_settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.files import digest_of
from pipeline.launching.launch import environment
from pipeline.paths import PROJECT_ROOT
from pipeline.tracking.runs import tracking_spec

CODE = "2"
"""Raised by hand when a change of `ml` makes earlier runs incomparable."""
BACKBONE = "tf_efficientnet_lite0"
TARGET = 0.9
SECONDS_FILE = "seconds.json"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The tables of one seed."""

    seed: int
    settings: Settings
    manifest: DatasetManifest


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one row reached with one seed."""

    row: Row
    seed: int
    training: TrainResult
    calibration: CalibrateResult
    seconds: float
    """Wall time of all stages and the calibration, starts of processes included."""


def prepare(*, photos: Path, folder: Path, seed: int) -> Dataset:
    """Run the pipeline up to the split of this seed, as `naturewatch run` does.

    Raises:
        subprocess.CalledProcessError: the run ended with an error, which it printed.
    """
    environment = {
        "NATUREWATCH__NAME": f"experiments-{seed}",
        "NATUREWATCH__DATA_ROOT": str(folder / f"seed-{seed}"),
        "NATUREWATCH__SOURCE__REPLICA__PHOTOS": str(photos),
        "NATUREWATCH__SPLIT__SEED": str(seed),
        "NATUREWATCH__TRAINING__IMAGE_SIZE": str(IMAGE_SIZE),
        "NATUREWATCH__REGISTRY__EXPERIMENT": "experiments",
    }
    os.environ.update(environment)
    settings = load_settings(PROJECT_ROOT / "conf" / "sample.yaml")
    if not settings.paths.pack_index.exists():
        command = [str(Path(sys.executable).parent / "naturewatch"), "run", "--select", "group:ingest or group:dataset"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=PROJECT_ROOT)
    return Dataset(seed=seed, settings=settings, manifest=DatasetManifest.read(settings.paths))


def train_all(rows: Iterable[Row], *, datasets: Iterable[Dataset], folder: Path, jobs: int) -> list[Outcome]:
    """Train every row with every seed, `jobs` at a time, each on its share of the cores.

    Seed by seed, so that an interrupted run has whole tables of the first seeds.
    """
    datasets = list(datasets)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        wanted = [
            pool.submit(train_row, row, dataset=dataset, folder=folder, threads=max(1, (os.cpu_count() or 1) // jobs))
            for dataset in datasets
            for row in rows
        ]
        return [future.result() for future in wanted]


def train_row(row: Row, *, dataset: Dataset, folder: Path, threads: int) -> Outcome:
    """Train the stages of a row one after the other, then calibrate; finished stages are taken as they are.

    Raises:
        RuntimeError: a child failed; its log is named.
    """
    before: Path | None = None
    seconds = 0.0
    for stage in row.stages:
        spec = train_spec(stage, dataset=dataset, folder=folder, before=before)
        seconds += child("train", spec=spec.write(spec.output / "spec.json"), threads=threads)
        before = spec.output / RESULT_FILE
    assert before is not None  # noqa: S101 (a row has a stage)
    calibration = calibrate_spec(before, dataset=dataset, network=row.stages[-1].network)
    seconds += child("calibrate", spec=calibration.write(calibration.output / "spec.json"), threads=threads)
    outcome = Outcome(
        row=row,
        seed=dataset.seed,
        training=TrainResult.read(before),
        calibration=CalibrateResult.read(calibration.output / RESULT_FILE),
        seconds=seconds,
    )
    print(
        f"seed {dataset.seed}  {row.title}: top-1 {outcome.training.metrics['top1']:.1%}, on training photographs "
        f"{outcome.training.metrics['train_top1']:.1%}, depth {outcome.calibration.evaluation_depth:.2f}, "
        f"{seconds:.0f} s",
        flush=True,
    )
    return outcome


def train_spec(stage: Stage, *, dataset: Dataset, folder: Path, before: Path | None) -> TrainSpec:
    """The specification of one stage; its hash covers all that decides the outcome, the stage before included."""
    rare = stage.rare and stage.recipe.rank != "species"
    spec_hash = digest_of(
        CODE, dataset.manifest.dataset_version, dataset.seed, IMAGE_SIZE, stage.recipe.model_dump(mode="json"),
        stage.mixing if before else None, rare, before.parent.name if before else None,
    )  # fmt: skip
    paths = dataset.settings.paths
    output = folder / "models" / spec_hash
    output.mkdir(parents=True, exist_ok=True)
    recipes = output / "recipe.json"
    recipes.write_text(json.dumps({stage.network: stage.recipe.model_dump(mode="json")}, indent=2), encoding="utf-8")
    return TrainSpec(
        network=stage.network,
        split=paths.table("split"),
        taxonomy=paths.table("taxonomy"),
        photos=paths.pack_index,
        output=output,
        spec_hash=spec_hash,
        backbone=BACKBONE,
        weights="package",
        recipe=str(recipes),
        mixing=stage.mixing,
        parent=before,
        rare_photos=paths.table("genus_photos") if rare else None,
        image_size=IMAGE_SIZE,
        seed=dataset.seed,
        workers=1,
        tracking=tracking_spec(dataset.settings, dataset.manifest, stage=stage.recipe.name, tags={}),
    )


def calibrate_spec(result: Path, *, dataset: Dataset, network: str) -> CalibrateSpec:
    """The specificity calibration of a trained row."""
    trained = TrainResult.read(result)
    return CalibrateSpec(
        network=network,
        probabilities=trained.probabilities,
        predictions=trained.predictions,
        taxonomy=dataset.settings.paths.table("taxonomy"),
        output=result.parent / "specificity",
        spec_hash=result.parent.name,
        target=TARGET,
        seed=dataset.seed,
        tracking=tracking_spec(dataset.settings, dataset.manifest, stage="specificity", tags={}),
    )


def child(stage: str, *, spec: Path, threads: int) -> float:
    """Run a stage of `ml` to its `result.json` and return its seconds; after an interruption, those of the last run.

    Raises:
        RuntimeError: it failed; its log is named.
    """
    note = spec.parent / SECONDS_FILE
    if (spec.parent / RESULT_FILE).exists() and note.exists():
        return float(json.loads(note.read_text(encoding="utf-8")))
    started = time.monotonic()
    log = spec.parent / "log.txt"
    with log.open("a", encoding="utf-8") as stream:
        command = [sys.executable, "-m", "ml", stage, "--spec", str(spec)]
        status = subprocess.run(
            command,
            stdout=stream,
            stderr=stream,
            cwd=PROJECT_ROOT,
            env={**os.environ, **environment(), "OMP_NUM_THREADS": str(threads)},
            check=False,
        ).returncode
    if status != 0:
        raise RuntimeError(f"{stage} ended with status {status}; {log} says why")
    seconds = time.monotonic() - started
    note.write_text(json.dumps(seconds), encoding="utf-8")
    return seconds
