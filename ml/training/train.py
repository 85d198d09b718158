"""One training stage (`python -m ml train`), from its specification to `result.json`.

Killed at any moment, the next start goes on from the checkpoint.
"""

import contextlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ml.child.pipes import Reporter
from ml.child.tracked import run_of
from ml.devices import Device
from ml.evaluation.accuracy_figures import training_curves
from ml.evaluation.drawing import save_figure
from ml.evaluation.report import assess
from ml.images.loader import Loader
from ml.images.pack import Pack, Photos
from ml.networks.embeddings import Embeddings, Pass
from ml.networks.frozen import MOST_PHOTOS, FrozenLayers
from ml.networks.inference import seen_boxes
from ml.networks.network import count_parameters, save
from ml.networks.trainable import count_frozen, freeze
from ml.spec import RESULT_FILE, TrainResult, TrainSpec, final_metric
from ml.taxonomy import Taxonomy
from ml.training import sampling
from ml.training.head_fit import embeddings_of, probe
from ml.training.job import Job
from ml.training.loop import fit
from ml.training.losses import move_bias, prior_taken
from ml.training.options import remarks
from ml.training.output_folder import claim, clear, locked, write_history
from ml.training.recipes import Recipe, recipe_of
from ml.training.refreshing import refreshed
from ml.training.scaling import scaled
from ml.training.start import first_network, read_sides
from ml.training.validation import Validation

if TYPE_CHECKING:
    from ml.child.tracking import ChildRun

LOGGED = ("network", "backbone", "weights", "image_size", "seed", "mixing", "spec_hash", "precision", "compile",
          "accumulate")  # fmt: skip
"""Fields of the specification that MLflow shows as parameters."""
SEARCH_STEPS = 5_000
"""A shorter training on a GPU does not look for the fastest kernels: it would be over before they pay."""


def run(spec: TrainSpec, *, device: Device, reporter: Reporter, stop: threading.Event) -> TrainResult | None:
    """Train and evaluate; return at once when this specification's result is there.

    Args:
        spec: What to train, on what, and where to.
        device: This process's device and rank.
        reporter: Shows a person what happens.
        stop: Set to end with a checkpoint.

    Returns:
        The result, on the first rank; None on the others.

    Raises:
        MlError: the inputs are unusable, the folder is in use, training was interrupted or diverged.
        TaxonomyError: `taxonomy.parquet` is unusable.
    """
    began = time.monotonic()
    with locked(spec.output) if device.first else contextlib.nullcontext():
        if device.first:
            claim(spec)
        device.wait_for_all()
        if (spec.output / RESULT_FILE).exists():
            reporter.info(f"{spec.output / RESULT_FILE} is there already; nothing to do")
            return TrainResult.read(spec.output / RESULT_FILE) if device.first else None
        if not device.first:
            _train(spec, device=device, reporter=reporter, stop=stop, tracked=None)
            return None
        with run_of(spec, system_metrics=True) as tracked:
            result = _train(spec, device=device, reporter=reporter, stop=stop, tracked=tracked)
            assert result is not None  # noqa: S101 (the first rank's)
        result = result.model_copy(update={"seconds": time.monotonic() - began, "hardware": device.hardware})
        # Written when MLflow's run has ended: a training that is found done does not enter it again.
        result.write(spec.output / RESULT_FILE)
        clear(spec.output)
        return result


def _train(
    spec: TrainSpec, *, device: Device, reporter: Reporter, stop: threading.Event, tracked: "ChildRun | None"
) -> TrainResult | None:
    device = replace(device, precision=spec.precision)
    recipe = _recipe(spec)
    taxonomy, pack = Taxonomy.read(spec.taxonomy), Pack(spec.photos)
    train, validation = read_sides(spec, recipe=recipe, taxonomy=taxonomy, pack=pack)
    steps = recipe.epochs * len(train) / recipe.batch
    device.tune(deterministic=spec.deterministic, search=steps >= SEARCH_STEPS)
    network = first_network(spec, recipe=recipe, taxonomy=taxonomy)
    for remark in remarks(spec, recipe=recipe, network=network, device=device, photos=len(train)):
        reporter.info(remark)
    network.recompute = spec.recompute
    reporter.info(
        f"{spec.network}: {spec.backbone}, {network.spec.classes} classes of rank {recipe.rank}, {len(train)} training "
        f"and {len(validation)} validation photographs, recipe {recipe.name}, on {device.device} in "
        f"{str(device.dtype).removeprefix('torch.')}"
    )
    job = Job(
        spec=spec, recipe=recipe, network=network, photos=train, device=device, reporter=reporter, stop=stop,
        tracked=tracked, taxonomy=taxonomy, loader=Loader(pack, network.spec, device=device, workers=spec.workers),
        checkpoint_seconds=60 * spec.checkpoint_minutes,
        validation=Validation(validation, train_photos=len(train), seed=spec.seed),
    )  # fmt: skip
    if tracked is not None:
        tracked.log_params(_params(job, validation=validation))
        tracked.set_tags({"naturewatch.device": str(device.device), "naturewatch.processes": str(device.world)})
    if recipe.frozen:
        job.loader = embeddings_of(job)
    elif recipe.reuse_frozen and device.world == 1 and len(train) <= MOST_PHOTOS:
        _reuse_frozen_layers(job)
    counts = sampling.counts(train, classes=network.head.out_features)
    history = probe(job)
    fitted = bool(history) and network.spec.head != "prototype"
    if fitted or (spec.warm_start is not None and not history and recipe.restore_prior):
        # The head was fitted to photographs as they come, or a training that ended gave it their prior; it goes on with
        # the prior that its loss supposes. Class means hold no prior.
        move_bias(network.head, by=-prior_taken(recipe, counts=counts))
    history += fit(job)
    if recipe.restore_prior:
        move_bias(network.head, by=prior_taken(recipe, counts=counts))
    if isinstance(job.loader, Embeddings) and network.spec.test_time == "none":
        job.loader.keep([Pass(validation)], title="features of the validation photographs")
    return _finish(job, history=history, tracked=tracked, taxonomy=taxonomy, validation=validation, pack=pack)


def _recipe(spec: TrainSpec) -> Recipe:
    recipe = recipe_of(spec.recipe, spec.network, literal=spec.literal, rank=spec.rank)
    if spec.warm_start is not None:
        recipe = refreshed(recipe, share=spec.warm_start.share)
    return scaled(recipe, spec.batch_scale)


def _reuse_frozen_layers(job: Job) -> None:
    """Let the job take the features of frozen layers in the place of photographs, where there are such layers."""
    freeze(job.network, trainable=job.recipe.trainable, branches=job.recipe.branches)
    job.network.begun = count_frozen(job.network)
    if job.network.begun:
        assert isinstance(job.loader, Loader)  # noqa: S101 (of photographs, so far)
        job.device.place(job.network)
        folder = job.spec.features or job.spec.output / "frozen"
        job.loader = FrozenLayers(job.network, loader=job.loader, folder=folder, stop=job.stop)


def _params(job: Job, *, validation: Photos) -> dict[str, object]:
    counts = {
        "classes": job.network.spec.classes,
        "parameters": count_parameters(job.network),
        "train_photos": len(job.photos),
        "validation_photos": len(validation),
        "epochs": job.recipe.epochs,
    }
    recipe = {f"recipe.{key}": value for key, value in job.recipe.model_dump().items()}
    return {name: getattr(job.spec, name) for name in LOGGED} | counts | recipe


def _finish(
    job: Job,
    *,
    history: list[dict[str, Any]],
    tracked: "ChildRun | None",
    taxonomy: Taxonomy,
    validation: Photos,
    pack: Pack,
) -> TrainResult | None:
    """Evaluate the network on both sides; the first rank writes it, and logs what a person looks at."""
    output, network = job.spec.output, job.network
    name = job.spec.tracking.stage if job.spec.tracking else job.spec.network
    network.spec = network.spec.model_copy(update={"precision": job.device.computes_in})
    if network.spec.test_time != "none":
        # Features that are kept are of the centre of photographs only.
        network.begun = 0
        job.loader = Loader(
            pack, network.spec, device=job.device, workers=job.spec.workers, boxes=seen_boxes(network.spec)
        )
    if job.device.first:
        description, weights = save(network, folder=output)
        written = write_history(history, output / "history.parquet")
    assessed = assess(
        network, validation=validation, train=job.photos, taxonomy=taxonomy, seed=job.spec.seed, title=name,
        output=output, loader=job.loader, device=job.device, reporter=job.reporter, stop=job.stop,
    )  # fmt: skip
    if assessed is None:
        return None
    numbers, pictures = assessed.numbers, dict(assessed.figures)
    if job.steps:
        curves = training_curves(
            history, title=f"{name}: {job.spec.backbone}", rank=network.spec.rank, top1=numbers["top1"]
        )
        pictures["Training curves"] = save_figure(curves, output / "training_curves.png")
    if tracked is not None:
        # At step 0 MLflow draws bars; single points of a curve say nothing.
        tracked.log_metrics({final_metric(name): number for name, number in numbers.items()})
        for picture in pictures.values():
            tracked.log_figure(picture)
        for file in (description, assessed.text):
            tracked.log_file(file)
        for table in (written, assessed.metrics_table, assessed.confusions):
            tracked.log_table(table)
    job.reporter.info(
        f"validation: {job.recipe.rank} {numbers['top1']:.1%}, five guesses {numbers['top5']:.1%}; "
        f"training photographs {numbers['train_top1']:.1%}"
    )
    return TrainResult(
        mlflow_run_id=tracked.run_id if tracked else "",
        weights=weights,
        network=description,
        history=written,
        probabilities=assessed.predictions,
        predictions=assessed.predictions,
        train_predictions=assessed.train_predictions,
        metrics_table=assessed.metrics_table,
        confusions=assessed.confusions,
        report=assessed.text,
        prototypes=assessed.prototypes,
        figures=pictures,
        metrics=numbers,
    )
