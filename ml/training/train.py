"""One training stage (`python -m ml train`), from its specification to `result.json`.

Killed at any moment, the next start goes on from the checkpoint.
"""

import contextlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from ml.child.pipes import Reporter
from ml.child.tracking import ChildRun, child_run
from ml.devices import Device
from ml.errors import DataError
from ml.evaluation import figures
from ml.evaluation.assessment import assess
from ml.files import replacing
from ml.images.loader import Pack, Photos, read_rare, read_split
from ml.networks import pretrained as weights
from ml.networks.frozen import MOST_PHOTOS, FrozenLayers
from ml.networks.network import (
    Network,
    NetworkSpec,
    count_frozen,
    count_parameters,
    create,
    has_auxiliary,
    load,
    normalisation,
)
from ml.networks.transfer import parents, rare_labels, transfer
from ml.spec import RANKS, RESULT_FILE, TrainResult, TrainSpec
from ml.taxonomy import Taxonomy
from ml.training import checkpoints
from ml.training.head_fit import fit_head
from ml.training.job import Job
from ml.training.output_folder import claim, clear, locked
from ml.training.recipes import Recipe, recipe_of
from ml.training.trainer import fit, freeze

HISTORY = pa.schema(
    [
        ("phase", pa.string()),
        ("epoch", pa.int32()),
        ("step", pa.int64()),
        ("train_loss", pa.float64()),
        ("train_accuracy", pa.float64()),
        ("learning_rate", pa.float64()),
        ("photos_per_second", pa.float64()),
        ("memory_mib", pa.float64()),
        ("data_wait", pa.float64()),
    ]
)


def run(spec: TrainSpec, *, device: Device, reporter: Reporter, stop: threading.Event) -> TrainResult | None:
    """Train and evaluate; return at once when this specification's result stands.

    Args:
        spec: What to train, on what, and where to.
        device: This process's device and rank.
        reporter: Told what happens.
        stop: Set to end with a checkpoint.

    Returns:
        The result, on the first rank; None on the others.

    Raises:
        MlError: the inputs are unusable, the folder is in use, training was interrupted or diverged.
        TaxonomyError: `taxonomy.parquet` is unusable.
    """
    with locked(spec.output) if device.first else contextlib.nullcontext():
        if device.first:
            claim(spec)
        device.wait_for_all()
        if (spec.output / RESULT_FILE).exists():
            reporter.info(f"{spec.output / RESULT_FILE} stands already; nothing to do")
            return TrainResult.read(spec.output / RESULT_FILE) if device.first else None
        if not device.first:
            _train(spec, device=device, reporter=reporter, stop=stop, tracked=None)
            return None
        with child_run(
            spec.tracking, spec_hash=spec.spec_hash, name=spec.tracking.stage, system_metrics=True
        ) as tracked:
            result = _train(spec, device=device, reporter=reporter, stop=stop, tracked=tracked)
            assert result is not None  # noqa: S101 (the first rank's)
        # Written when MLflow's run has ended: what is found done is not entered again.
        result.write(spec.output / RESULT_FILE)
        clear(spec.output)
        return result


def _train(
    spec: TrainSpec, *, device: Device, reporter: Reporter, stop: threading.Event, tracked: ChildRun | None
) -> TrainResult | None:
    device = replace(device, precision=spec.precision)
    device.tune(deterministic=spec.deterministic)
    recipe = recipe_of(spec.recipe, spec.network, literal=spec.literal, rank=spec.rank)
    taxonomy, pack = Taxonomy.read(spec.taxonomy), Pack(spec.photos)
    train, validation = _sides(spec, recipe=recipe, taxonomy=taxonomy, pack=pack)
    network = first_network(spec, recipe=recipe, taxonomy=taxonomy)
    network.recompute = spec.recompute
    reporter.info(
        f"{spec.network}: {spec.backbone}, {network.spec.classes} classes of rank {recipe.rank}, {len(train)} training "
        f"and {len(validation)} validation photographs, recipe {recipe.name}, on {device.device} in "
        f"{str(device.dtype).removeprefix('torch.')}"
    )
    if tracked:
        tracked.log_params(_params(spec, recipe=recipe, network=network, train=train, validation=validation))
        tracked.set_tags({"naturewatch.device": str(device.device), "naturewatch.processes": str(device.world)})
    job = Job(
        network=network,
        recipe=recipe,
        pack=pack,
        photos=train,
        folder=spec.output / "checkpoints",
        spec_hash=spec.spec_hash,
        seed=spec.seed,
        workers=spec.workers,
        device=device,
        transferred=spec.parent is not None,
        accumulate=spec.accumulate,
        compile=spec.compile,
        sync_batch_norm=spec.sync_batch_norm,
        reporter=reporter,
        stop=stop,
        on_epoch=tracked_epochs(tracked),
    )
    if recipe.reuse_frozen and device.world == 1 and len(train) <= MOST_PHOTOS:
        freeze(network, recipe=recipe)
        network.begun = count_frozen(network)
    if network.begun:
        device.place(network)
        job.frozen = FrozenLayers(
            network, folder=spec.features or spec.output / "frozen", pack=pack, device=device, workers=spec.workers,
            stop=stop,
        )  # fmt: skip
    history = _probe(job) + fit(job)
    if tracked is None:
        return None
    return _finish(spec, job=job, history=history, tracked=tracked, taxonomy=taxonomy, validation=validation)


def _sides(spec: TrainSpec, *, recipe: Recipe, taxonomy: Taxonomy, pack: Pack) -> tuple[Photos, Photos]:
    """Training and validation photographs, labelled by the taxa of the recipe's rank."""
    train = read_split(spec.split, pack=pack, side="train")
    validation = read_split(spec.split, pack=pack, side="validation")
    _check_labels(train, validation, taxonomy=taxonomy)
    depth = RANKS.index(recipe.rank) + 1
    labels = taxonomy.labels_at(depth)
    train, validation = train.relabelled(labels), validation.relabelled(labels)
    if recipe.rank != "species" and spec.rare_photos is not None:
        train = train.joined(read_rare(spec.rare_photos, pack=pack, taxa=rare_labels(taxonomy, depth=depth)))
    return train, validation


def first_network(spec: TrainSpec, *, recipe: Recipe, taxonomy: Taxonomy) -> Network:
    """The network as training starts with it: with weights of ImageNet, or with what a stage before has learnt.

    Raises:
        MlError: the weights cannot be had, or the stage before does not fit.
    """
    torch.manual_seed(spec.seed)
    network = create(_network_spec(spec, recipe=recipe), taxonomy)
    if spec.parent is None:
        weights.initialise(network, source=spec.weights, branches=recipe.branches)
        return network
    before = TrainResult.read(spec.parent)
    parent = load(before.network, before.weights)
    transfer(
        parent,
        network,
        parent_of=parents(taxonomy, rank=recipe.rank, above=parent.spec.rank),
        mixing=spec.mixing,
    )
    return network


def _network_spec(spec: TrainSpec, *, recipe: Recipe) -> NetworkSpec:
    mean, std = normalisation(spec.backbone)
    return NetworkSpec(
        backbone=spec.backbone,
        mean=mean,
        std=std,
        rank=recipe.rank,
        image_size=spec.image_size,
        views=recipe.views,
        split_after=recipe.split_after,
        merge_after=recipe.merge_after,
        fusion=recipe.fusion,
        auxiliary=recipe.auxiliary_weight > 0 and has_auxiliary(spec.backbone),
        dropout=recipe.dropout,
        batch_norm_momentum=recipe.batch_norm_momentum,
        batch_norm_eps=recipe.batch_norm_eps,
    )


def _probe(job: Job) -> list[dict[str, Any]]:
    """Fit the head first, on the first rank; the others take it from the file."""
    probe = job.recipe.probe
    if probe is None:
        return []
    quality = fit_head(job, probe) if job.device.first else None
    job.device.wait_for_all()
    loss, accuracy = quality or fit_head(job, probe)
    job.reporter.info(f"head fitted on frozen features: training accuracy {accuracy:.1%}")
    row = dict.fromkeys(HISTORY.names, 0.0) | {"train_loss": loss, "train_accuracy": accuracy}
    return [row | {"phase": "probe", "epoch": 0, "step": 0}]


def _finish(
    spec: TrainSpec,
    *,
    job: Job,
    history: list[dict[str, Any]],
    tracked: ChildRun,
    taxonomy: Taxonomy,
    validation: Photos,
) -> TrainResult:
    network, output = job.network, spec.output
    files = {
        "weights": _write_weights(network, output / "weights.safetensors"),
        "network": network.spec.write(output / "network.json"),
        "history": _write_history(history, output / "history.parquet"),
    }
    name = spec.tracking.stage
    assessed = assess(
        network, validation=validation, train=job.photos, taxonomy=taxonomy, seed=spec.seed, title=name, output=output,
        pack=job.pack, device=job.device, workers=job.workers, reporter=job.reporter, stop=job.stop,
        frozen=job.frozen,
    )  # fmt: skip
    numbers = assessed.numbers
    pictures = dict(assessed.figures)
    if job.steps:
        pictures["Training curves"] = figures.training_curves(
            history, title=f"{name}: {spec.backbone}", top1=numbers["top1"], path=output / "training_curves.png"
        )
    tracked.log_metrics(numbers, step=int(history[-1]["step"]))
    for picture in pictures.values():
        tracked.log_figure(picture)
    for file in (files["network"], files["history"], assessed.metrics_table, assessed.confusions):
        tracked.log_file(file)
    job.reporter.info(
        f"validation: {job.recipe.rank} {numbers['top1']:.1%}, five guesses {numbers['top5']:.1%}; "
        f"training photographs {numbers['train_top1']:.1%}"
    )
    return TrainResult(
        mlflow_run_id=tracked.run_id,
        probabilities=assessed.predictions,
        predictions=assessed.predictions,
        train_predictions=assessed.train_predictions,
        metrics_table=assessed.metrics_table,
        confusions=assessed.confusions,
        figures=pictures,
        metrics=numbers,
        **files,
    )


def tracked_epochs(tracked: ChildRun | None) -> Any:  # noqa: ANN401 (a callback for `Job.on_epoch`)
    """A callback that logs each epoch's numbers."""

    def log(row: dict[str, Any]) -> None:
        if tracked is not None:
            numbers = {name: float(row[name]) for name in HISTORY.names if name not in {"phase", "epoch", "step"}}
            tracked.log_metrics(numbers, step=int(row["step"]))

    return log


def _params(
    spec: TrainSpec, *, recipe: Recipe, network: Network, train: Photos, validation: Photos
) -> dict[str, object]:
    chosen = {
        name: getattr(spec, name)
        for name in (
            "network",
            "backbone",
            "weights",
            "image_size",
            "seed",
            "mixing",
            "spec_hash",
            "precision",
            "compile",
            "accumulate",
        )
    }
    counts = {
        "classes": network.spec.classes,
        "parameters": count_parameters(network),
        "train_photos": len(train),
        "validation_photos": len(validation),
        "epochs": recipe.epochs,
    }
    return chosen | counts | {f"recipe.{key}": value for key, value in recipe.model_dump().items()}


def _check_labels(*sides: Photos, taxonomy: Taxonomy) -> None:
    for side in sides:
        low, high = int(side.labels.min()), int(side.labels.max())
        if low < 0 or high >= taxonomy.class_count:
            raise DataError(
                f"the split has class ids from {low} to {high}, but the taxonomy has {taxonomy.class_count} leaves; "
                "materialise taxonomy and split again"
            )


def _write_weights(network: Network, path: Path) -> Path:
    with replacing(path) as partial:
        save_file(checkpoints.plain(network.state_dict()), partial)
    return path


def _write_history(history: list[dict[str, Any]], path: Path) -> Path:
    with replacing(path) as partial:
        pq.write_table(pa.Table.from_pylist(history, schema=HISTORY), partial)
    return path
