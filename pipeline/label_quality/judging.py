"""What the child `label_quality` is asked, by the configuration and the dataset version. Computes nothing."""

from pathlib import Path
from typing import Final

from ml.spec import RESULT_FILE, DocumentError, LabelQualityResult, LabelQualitySpec
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import ChildError
from pipeline.files import digest_of

CODE: Final = "1"
"""Raised by hand when a change of `ml.label_quality` should judge unchanged data anew."""


def label_quality_spec(
    settings: Settings, manifest: DatasetManifest, *, workers: int | None = None
) -> LabelQualitySpec:
    """The specification for the photographs of a dataset version; its hash names the output folder.

    Args:
        settings: `training.backbone`, `training.weights`, `training.image_size`: the features are those that trainings
            with the recipe `frozen` share; `training.seed`; `labels.folds`.
        manifest: The dataset version.
        workers: How many decode photographs, where the configuration does not say.
    """
    paths, training = settings.paths, settings.training
    decides = training.model_dump(mode="json", include={"backbone", "weights", "image_size", "seed"})
    spec_hash = digest_of(CODE, manifest.dataset_version, decides, settings.labels.folds)
    named = training.weights in {"hub", "package", "none"}
    return LabelQualitySpec(
        split=paths.table("split"),
        taxonomy=paths.table("taxonomy"),
        photos=paths.pack_index,
        features=paths.features,
        output=paths.label_quality(spec_hash),
        spec_hash=spec_hash,
        backbone=training.backbone,
        weights=training.weights if named else str(Path(training.weights).absolute()),
        image_size=training.image_size,
        folds=settings.labels.folds,
        seed=training.seed,
        workers=training.workers if training.workers is not None else workers,
    )


def label_quality_result(path: Path) -> LabelQualityResult:
    """What the child wrote last.

    Raises:
        ChildError: it is missing, damaged, or was written by another version.
    """
    try:
        return LabelQualityResult.read(path)
    except DocumentError as error:
        raise ChildError(str(error)) from error


def is_judged(spec: LabelQualitySpec) -> bool:
    """Whether the photographs were judged and the scores are there, so that no process need be started for it."""
    try:
        return label_quality_result(spec.output / RESULT_FILE).scores.is_file()
    except ChildError:
        return False
