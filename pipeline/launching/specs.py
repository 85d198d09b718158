"""Builds the specifications of the children from the configuration and the dataset version."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from ml.spec import (
    NETWORK_TITLES,
    RESULT_FILE,
    CalibrateResult,
    CalibrateSpec,
    DocumentError,
    ExamResult,
    NetworkName,
    Rank,
    RegisterResult,
    RegisterSpec,
    TrackingSpec,
    TrainingOptions,
    TrainResult,
    TrainSpec,
)
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import ChildError
from pipeline.files import digest_of, sha256_of
from pipeline.launching.calibration_inputs import places_hash, usable_places
from pipeline.tracking.runs import tracking_spec

Result = TypeVar("Result", TrainResult, CalibrateResult, RegisterResult, ExamResult)

TRAINING_CODE = "4"
"""Raised by hand when a change of `ml` should retrain on unchanged data."""
CALIBRATION_CODE = "4"
"""Raised by hand when a change of `ml.specificity` should recalibrate on unchanged probabilities."""
PACKAGING_CODE = "4"
"""Raised by hand when a change of `ml.serving.model` should register unchanged weights anew."""

DECIDING = {
    "backbone", "weights", "image_size", "processes", "batch_scale", "precision", "compile", "cuda_graph", "accumulate",
    "sync_batch_norm", "deterministic", "test_time",
}  # fmt: skip
"""Settings of training that change the weights, if only in the last digits; the others are handled one by one.

Processes and parts are among them: batch norms normalise by what one of them sees."""


def result_of(kind: type[Result], path: Path) -> Result:
    """What a child wrote last.

    Raises:
        ChildError: it is missing, damaged, or was written by another version.
    """
    try:
        return kind.read(path)
    except DocumentError as error:
        raise ChildError(str(error)) from error


def train_hash(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    network: NetworkName,
    seed: int | None = None,
    rank: Rank | None = None,
) -> str:
    """The content version of everything that decides a training stage's outcome.

    Args:
        settings: The configuration.
        manifest: The dataset version.
        network: The stage.
        seed: One of `settings.training.seeds`; None: the first.
        rank: For `genus_stage`, one of `settings.training.transfer_ranks`; None: the last.
    """
    training = settings.training
    parts = deciding(settings, manifest, network=network, seed=seed)
    if network == "knowledge_transfer":
        parent = train_hash(settings, manifest, network="genus_stage", seed=seed)
        parts += [parent, training.transfer_mixing, training.literal_schedule]
    if network == "genus_stage":
        own = rank or training.transfer_ranks[-1]
        parts.append(own)
        above = _above(settings, own)
        if above is not None:
            parent = train_hash(settings, manifest, network=network, seed=seed, rank=above)
            parts += [parent, training.transfer_mixing]
    return digest_of(*parts)


def deciding(
    settings: Settings, manifest: DatasetManifest, *, network: NetworkName, seed: int | None = None
) -> list[object]:
    """What decides the outcome of any training of a network, whatever it begins with; `seed` as for `train_hash`."""
    training = settings.training
    return [
        TRAINING_CODE,
        network,
        manifest.dataset_version,
        training.model_dump(mode="json", include=DECIDING),
        # A file of recipes counts by what it says.
        sha256_of(training.recipe) if isinstance(training.recipe, Path) else training.recipe,
        training.seed if seed is None else seed,
    ]


def train_specs(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    network: NetworkName,
    seed: int,
    tags: Mapping[str, str],
    workers: int | None = None,
) -> list[TrainSpec]:
    """The specifications to train one after the other: for `genus_stage` one per rank, from the highest down.

    `workers` decode photographs where the configuration does not say how many.
    """
    ranks: tuple[Rank | None, ...] = settings.training.transfer_ranks if network == "genus_stage" else (None,)
    specs = [train_spec(settings, manifest, network=network, seed=seed, rank=rank, tags=tags) for rank in ranks]
    return specs if workers is None else [_with_workers(spec, workers) for spec in specs]


def _with_workers(spec: TrainSpec, workers: int) -> TrainSpec:
    return spec if spec.workers is not None else spec.model_copy(update={"workers": workers})


def train_spec(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    network: NetworkName,
    seed: int | None = None,
    rank: Rank | None = None,
    tags: Mapping[str, str],
) -> TrainSpec:
    """The specification of one training stage; `seed` and `rank` as for `train_hash`."""
    paths, training = settings.paths, settings.training
    spec_hash = train_hash(settings, manifest, network=network, seed=seed, rank=rank)
    spec = bare_spec(
        settings,
        network=network,
        seed=seed,
        spec_hash=spec_hash,
        output=paths.model(network, spec_hash),
        tracking=tracking_spec(
            settings, manifest, stage=network, title=_title(settings, network, seed=seed, rank=rank), tags=tags
        ),
    )
    if network == "genus_stage":
        own = rank or training.transfer_ranks[-1]
        spec = spec.model_copy(update={"rank": own, "rare_photos": paths.table("genus_photos")})
        above = _above(settings, own)
    elif network == "knowledge_transfer":
        spec = spec.model_copy(update={"literal": training.literal_schedule})
        above = training.transfer_ranks[-1]
    else:
        above = None
    if above is None:
        return spec
    before = paths.model("genus_stage", train_hash(settings, manifest, network="genus_stage", seed=seed, rank=above))
    return spec.model_copy(update={"parent": before / RESULT_FILE, "mixing": training.transfer_mixing})


def bare_spec(
    settings: Settings,
    *,
    network: NetworkName,
    seed: int | None = None,
    spec_hash: str,
    output: Path,
    tracking: TrackingSpec,
) -> TrainSpec:
    """The specification of a training of one network on the present dataset, without what it begins with."""
    paths, training = settings.paths, settings.training
    return TrainSpec(
        network=network,
        split=paths.table("split"),
        taxonomy=paths.table("taxonomy"),
        photos=paths.training_photos / "index.parquet",
        features=paths.features,
        output=output,
        spec_hash=spec_hash,
        backbone=training.backbone,
        weights=_located(training.weights),
        recipe=str(training.recipe.absolute() if isinstance(training.recipe, Path) else training.recipe),
        seed=training.seed if seed is None else seed,
        **training.model_dump(include=set(TrainingOptions.model_fields)),
        tracking=tracking,
    )


def _title(settings: Settings, network: NetworkName, *, seed: int | None, rank: Rank | None = None) -> str:
    """A training for people; with rank and seed where there are several."""
    title = NETWORK_TITLES[network]
    if network == "genus_stage":
        title = f"{rank or settings.training.transfer_ranks[-1]} stage"
    several = len(settings.training.seeds) > 1
    return f"{title}, seed {settings.training.seed if seed is None else seed}" if several else title


def _located(weights: str) -> str:
    """`training.weights` for a child that may run in another folder."""
    return weights if weights in {"hub", "package", "none"} else str(Path(weights).absolute())


def _above(settings: Settings, rank: Rank) -> Rank | None:
    """The rank that is learnt before `rank`; None for the first."""
    ranks = settings.training.transfer_ranks
    position = ranks.index(rank)
    return ranks[position - 1] if position else None


def trained(
    settings: Settings, manifest: DatasetManifest, *, network: NetworkName, seed: int | None = None
) -> TrainResult:
    """The result of a finished training stage of this dataset version; `seed` as for `train_hash`.

    Raises:
        ChildError: as for `result_of`.
    """
    spec_hash = train_hash(settings, manifest, network=network, seed=seed)
    return result_of(TrainResult, settings.paths.model(network, spec_hash) / RESULT_FILE)


def calibrate_hash(
    settings: Settings, manifest: DatasetManifest, *, network: NetworkName, seed: int | None = None
) -> str:
    """The content version of everything that decides a calibration's outcome; `seed` as for `train_hash`."""
    return hash_of_calibration(settings, training=train_hash(settings, manifest, network=network, seed=seed))


def hash_of_calibration(settings: Settings, *, training: str) -> str:
    """The content version of what decides how the training with the hash `training` answers by photographs alone.

    It names the folder of the calibration. Places, which decide the cases that know more, are in the hash of its
    specification (`calibration_of`): where only they change, what compares networks by their photographs stays valid.
    """
    specificity = settings.specificity.model_dump(mode="json")
    return digest_of(CALIBRATION_CODE, training, specificity, settings.split.seed)


def calibrated(
    settings: Settings, manifest: DatasetManifest, *, network: NetworkName, seed: int | None = None
) -> CalibrateResult:
    """The result of the finished calibration of one network; `seed` as for `train_hash`.

    Raises:
        ChildError: as for `result_of`.
    """
    spec_hash = calibrate_hash(settings, manifest, network=network, seed=seed)
    return result_of(CalibrateResult, settings.paths.evaluation(network, spec_hash) / RESULT_FILE)


def calibrate_spec(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    network: NetworkName,
    seed: int | None = None,
    tags: Mapping[str, str],
) -> CalibrateSpec:
    """The specification of the calibration of one trained network; `seed` as for `train_hash`."""
    spec_hash = calibrate_hash(settings, manifest, network=network, seed=seed)
    return calibration_of(
        settings,
        trained(settings, manifest, network=network, seed=seed),
        network=network,
        spec_hash=spec_hash,
        output=settings.paths.evaluation(network, spec_hash),
        tracking=tracking_spec(
            settings,
            manifest,
            stage=f"specificity_{network}",
            title=f"specificity of {_title(settings, network, seed=seed)}",
            tags=tags,
        ),
    )


def calibration_of(
    settings: Settings,
    result: TrainResult,
    *,
    network: NetworkName,
    spec_hash: str,
    output: Path,
    tracking: TrackingSpec,
) -> CalibrateSpec:
    """The specification of the calibration of a finished training on the present dataset.

    Args:
        settings: The configuration.
        result: The training.
        network: What was trained.
        spec_hash: As `hash_of_calibration`; where there are usable places, theirs is added.
        output: The folder of its files.
        tracking: Where its run belongs.
    """
    places = usable_places(settings.paths)
    if places is not None:
        spec_hash = digest_of(spec_hash, places_hash(places))
    return CalibrateSpec(
        network=network,
        probabilities=result.probabilities,
        predictions=result.predictions,
        prototypes=result.prototypes,
        taxonomy=settings.paths.table("taxonomy"),
        output=output,
        spec_hash=spec_hash,
        split=settings.paths.table("split"),
        places=places,
        **settings.specificity.model_dump(),
        seed=settings.split.seed,
        tracking=tracking,
    )


def register_spec(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    training: TrainResult,
    network: NetworkName,
    calibration_hash: str,
    specificity: Path,
    model_card: Path,
    model_page: Path,
    attribution: Path,
    example: Path,
    metrics: Mapping[str, float],
    figures: Mapping[str, Path],
    version_tags: Mapping[str, str],
    tags: Mapping[str, str],
) -> RegisterSpec:
    """The specification of one model version.

    Args:
        settings: The configuration.
        manifest: The dataset version that it was trained on.
        training: What it is made of.
        network: What was trained.
        calibration_hash: Names the calibration.
        specificity: `result.json` of the calibration.
        model_card: Markdown.
        model_page: The card as HTML.
        attribution: The table of licences and holders.
        example: A photograph.
        metrics: Numbers of the version.
        figures: Pictures by title.
        version_tags: Tags of the version, beside those that follow from the manifest and the configuration.
        tags: Tags of the run that registers it, the commit among them.
    """
    spec_hash = digest_of(PACKAGING_CODE, calibration_hash, settings.registry.model_name)
    return RegisterSpec(
        weights=training.weights,
        network=training.network,
        taxonomy=settings.paths.table("taxonomy"),
        specificity=specificity,
        model_card=model_card,
        model_page=model_page,
        attribution=attribution,
        figures=dict(figures),
        example=example,
        output=settings.paths.release / spec_hash,
        spec_hash=spec_hash,
        model_name=settings.registry.model_name,
        version_tags={
            "gbif.download_key": manifest.download_key or "",
            "gbif.doi": manifest.doi or "",
            "gbif.checklist_key": manifest.checklist_key or "",
            "naturewatch.source": manifest.source,
            "naturewatch.taxonomy_hash": manifest.taxonomy_hash,
            "naturewatch.split_hash": manifest.split_hash,
            "naturewatch.data_version": manifest.dataset_version,
            "naturewatch.network": network,
            "naturewatch.recipe": str(settings.training.recipe),
            "naturewatch.backbone": settings.training.backbone,
            "git.commit": tags.get("git.commit", "unknown"),
            **version_tags,
        },
        metrics=dict(metrics),
        tracking=tracking_spec(
            settings, manifest, stage="candidate", title=f"candidate, {NETWORK_TITLES[network]}", tags=tags
        ),
    )
