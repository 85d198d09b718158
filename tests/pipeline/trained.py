"""Finished trainings and calibrations of simulated networks: the real files, without the hours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ml.evaluation import metrics
from ml.evaluation.metrics import Answers, measure
from ml.evaluation.predictions import prediction_writer
from ml.spec import RESULT_FILE, CalibrateSpec, NetworkName, TrackingSpec, TrainResult
from ml.specificity.calibration import calibrate_network
from ml.specificity.stage import read_predictions, write_outcome
from ml.taxonomy import Taxonomy
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import TABLES, DatasetManifest
from pipeline.files import write_json
from pipeline.launching.specs import calibrate_hash, train_hash
from pipeline.paths import Paths
from pipeline.production.record import Production
from tests.ml.specificity_fixtures import BIRDS, rows_of, write_taxonomy

PHOTOS = 240
SIZES = np.array([5, 12, 30, 70])
"""Training photographs of the four species."""
LICENCES = ("CC0", "CC-BY", "CC-BY-NC", "all rights reserved")
"""Of the photographs of the four species."""


def dataset(paths: Paths) -> DatasetManifest:
    """Taxonomy, split and manifest of four species, two photographs to an observation."""
    paths.tables.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        pq.write_table(pa.table({"name": [name]}), paths.table(name))
    write_taxonomy(paths.table("taxonomy"), rows_of(BIRDS))
    validation: list[dict[str, Any]] = [
        {"photo_id": photo_id, "observation_id": f"o{row // 2}", "class_id": int(label), "split": "validation"}
        for row, (photo_id, label) in enumerate(zip(photo_ids(), truth(), strict=True))
    ]
    training: list[dict[str, Any]] = [
        {"photo_id": f"t{label}-{row}", "observation_id": f"t{label}-{row}", "class_id": label, "split": "train"}
        for label, photos in enumerate(SIZES.tolist())
        for row in range(photos)
    ]
    pq.write_table(pa.Table.from_pylist([*validation, *training]), paths.table("split"))
    licences = [{"photo_id": row["photo_id"], "licence": LICENCES[row["class_id"]]} for row in (*validation, *training)]
    pq.write_table(pa.Table.from_pylist(licences), paths.table("attribution"))
    source: dict[str, object] = {
        "mode": "download",
        "key": "k",
        "predicate": {},
        "checklist_key": None,
        "archive": "a",
        "sha256": "s",
    }
    write_json(paths.current_download, source)
    return DatasetManifest(
        scope="test", dataset_version="v1", split_hash="s1", taxonomy_hash="t1",
        table_hashes={name: f"{name}-hash" for name in TABLES},
        counts={"species": 4, "train": int(SIZES.sum()), "validation": PHOTOS}, rejections={},
    )  # fmt: skip


def truth() -> npt.NDArray[np.int64]:
    """The species of the validation photographs."""
    return np.random.default_rng(1).integers(4, size=PHOTOS)


def photo_ids() -> list[str]:
    return [f"p{row:03d}" for row in range(PHOTOS)]


def train(settings: Settings, manifest: DatasetManifest, *, network: NetworkName, seed: int, skill: float) -> None:
    """Leave what a training and a calibration leave; the higher the skill, the more often the network is right."""
    folder = settings.paths.model(network, train_hash(settings, manifest, network=network, seed=seed))
    folder.mkdir(parents=True, exist_ok=True)
    tree = Taxonomy.read(settings.paths.table("taxonomy"))
    labels = truth()
    sides = {
        "validation": _answer(folder / "validation.parquet", labels, skill=skill, seed=seed),
        "train": _answer(folder / "train.parquet", labels, skill=skill + 1, seed=seed + 1000),
    }
    lineage = tree.lineages_at(tree.max_depth)[:, 1:]
    measured = {side: measure(answers, lineage=lineage, sizes=SIZES) for side, answers in sides.items()}
    numbers = metrics.flat(measured["validation"]) | metrics.flat(measured["train"], prefix="train_")
    pairs = {"validation": metrics.confused_pairs(sides["validation"], lineage=lineage)}
    names = ("weights.safetensors", "network.json", "history.parquet")
    species = [tree.name[node] for node in lineage[:, -1]]
    pq.write_table(pa.table({"epoch": [1, 2], "step": [30, 60]}), folder / names[2])
    Image.new("RGB", (64, 48), "white").save(folder / "accuracy_by_rank.png")
    result = TrainResult(
        mlflow_run_id="r", weights=folder / names[0], network=folder / names[1], history=folder / names[2],
        probabilities=folder / "validation.parquet", predictions=folder / "validation.parquet",
        train_predictions=folder / "train.parquet",
        metrics_table=metrics.write_metrics(measured, folder / "metrics.parquet"),
        confusions=metrics.write_pairs(pairs, folder / "confusions.parquet", names=species),
        figures={"Accuracy by rank": folder / "accuracy_by_rank.png"}, seconds=7_800, hardware="a GPU",
        metrics=numbers | {"validation_photos": PHOTOS, "train_photos": PHOTOS},
    )  # fmt: skip
    result.write(folder / RESULT_FILE)
    spec = _calibrate_spec(settings, manifest, result, network=network, seed=seed)
    spec.output.mkdir(parents=True, exist_ok=True)
    outcome = calibrate_network(read_predictions(spec, taxonomy=tree), tree, spec)
    # Pictures of single networks take most of the time, and nothing compares them.
    with mock.patch("ml.specificity.calibration_figures.draw_figures", return_value={}):
        write_outcome(outcome, spec=spec, taxonomy=tree, mlflow_run_id="c").write(spec.output / RESULT_FILE)


def adopted(settings: Settings, manifest: DatasetManifest, *, network: NetworkName) -> Production:
    """The record of a training of research that is released, with the first seed."""
    training = train_hash(settings, manifest, network=network)
    return Production(
        how="adopted", network=network, spec_hash=training,
        folder=settings.paths.model(network, training).relative_to(settings.paths.data_root),
        dataset_version=manifest.dataset_version, full_photos=manifest.counts["train"], reason="the best",
    )  # fmt: skip


def train_all(settings: Settings, manifest: DatasetManifest, skills: Mapping[NetworkName, float]) -> None:
    """Every network with every configured seed."""
    for network, skill in skills.items():
        for seed in settings.training.seeds:
            train(settings, manifest, network=network, seed=seed, skill=skill)


def _calibrate_spec(
    settings: Settings, manifest: DatasetManifest, result: TrainResult, *, network: NetworkName, seed: int
) -> CalibrateSpec:
    """As the pipeline makes it, but for the parent run: a store of MLflow takes seconds."""
    spec_hash = calibrate_hash(settings, manifest, network=network, seed=seed)
    return CalibrateSpec(
        network=network, probabilities=result.probabilities, predictions=result.predictions,
        taxonomy=settings.paths.table("taxonomy"), output=settings.paths.evaluation(network, spec_hash),
        spec_hash=spec_hash, split=settings.paths.table("split"), target=settings.specificity.target,
        tracking=TrackingSpec(uri="", experiment="", parent_run_id="", stage=network),
    )  # fmt: skip


def _answer(path: Path, truth: npt.NDArray[np.int64], *, skill: float, seed: int) -> Answers:
    logits = 2 * np.random.default_rng(seed).normal(size=(PHOTOS, 4)) + skill * np.eye(4)[truth]
    distributions = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    top = np.argsort(-distributions, axis=1)
    answers = Answers(
        labels=truth, top_ids=top, top_probabilities=np.take_along_axis(distributions, top, 1).astype(np.float32)
    )
    halves = ["calibration" if row // 2 % 2 else "evaluation" for row in range(PHOTOS)]
    with prediction_writer(path, classes=4, top=4, distributions=True) as writer:
        writer.add(
            photo_ids=photo_ids(), labels=truth, halves=halves, top_ids=top,
            top_probabilities=answers.top_probabilities, distributions=distributions.astype(np.float16),
        )  # fmt: skip
    return answers
