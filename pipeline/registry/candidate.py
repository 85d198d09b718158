"""What a candidate for the registry is made of: weights, thresholds, model card, attribution, figures and tags."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.spec import RESULT_FILE, CalibrateResult, RegisterSpec
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.dataset.registration import Registration
from pipeline.errors import TableError
from pipeline.files import sha256_of, write_bytes
from pipeline.launching.calibration_inputs import identity_of
from pipeline.launching.specs import register_spec
from pipeline.production.production_specs import calibration_folder, production_calibration
from pipeline.production.record import Production
from pipeline.registry.card_facts import card_facts
from pipeline.registry.card_header import with_header
from pipeline.registry.card_page import card_page
from pipeline.registry.model_card import model_card
from pipeline.registry.version_record import documents
from pipeline.tracking.tags import ANCESTOR, CASES, DERIVED_DOI, FIRST_WEIGHTS, FULL_PHOTOS, HOW, RECIPE_HASH, TRAINING


def candidate_spec(
    settings: Settings, manifest: DatasetManifest, *, production: Production, tags: Mapping[str, str]
) -> RegisterSpec:
    """Gather all that a model version carries: weights, thresholds, card, attribution, figures, tags.

    Args:
        settings: The configuration.
        manifest: The dataset version.
        production: The training that is registered.
        tags: Tags of the run in MLflow.

    Raises:
        TableError: the training was made of another dataset version, or a table is missing.
        ChildError: it is not trained and calibrated.
    """
    if production.dataset_version != manifest.dataset_version:
        raise TableError(
            f"{settings.paths.production} is about dataset version {production.dataset_version}, and the present one "
            f"is {manifest.dataset_version}; materialise production and specificity_production"
        )
    result = production.training(settings.paths)
    calibration = production_calibration(settings, production)
    facts = card_facts(settings, manifest, production=production, commit=tags.get("git.commit", "unknown"))
    folder = settings.paths.release
    folder_of_calibration = calibration_folder(
        settings, network=production.network, training=production.spec_hash, how=production.how
    )
    spec = register_spec(
        settings,
        manifest,
        training=result,
        network=production.network,
        calibration_hash=identity_of(calibration),
        specificity=folder_of_calibration / RESULT_FILE,
        model_card=write_bytes(folder / "model_card.md", with_header(model_card(facts), facts).encode()),
        model_page=write_bytes(folder / "model_card.html", card_page(facts).encode()),
        attribution=settings.paths.table("attribution"),
        example=_example(settings),
        metrics={
            **result.metrics,
            "specificity_accuracy": calibration.evaluation_accuracy,
            "specificity_depth": calibration.evaluation_depth,
            "specificity_threshold": calibration.threshold,
            **_case_metrics(calibration),
        },
        figures={**result.figures, **calibration.figures},
        version_tags={
            **_ancestry(settings, production),
            **_registered(settings, manifest),
            **({CASES: ", ".join(one.case for one in calibration.place_cases)} if calibration.place_cases else {}),
        },
        tags=tags,
    )
    kept = documents(settings, manifest, training=result, reason=production.reason)
    return spec.model_copy(update={"documents": kept})


def _case_metrics(calibration: CalibrateResult) -> dict[str, float]:
    """What the answers are worth at the target where the place, or place and date, are known."""
    return {
        f"{one.case}_{name}": number
        for one in calibration.place_cases
        for name, number in (
            ("accuracy", one.judged.accuracy), ("depth", one.judged.depth), ("depth_alone", one.alone.depth),
            ("top1", one.top1), ("top1_alone", one.top1_alone),
        )
    }  # fmt: skip


def _ancestry(settings: Settings, production: Production) -> dict[str, str]:
    """Tags that tell the next refresh what it may go on from."""
    recipe = settings.training.recipe
    known = {
        TRAINING: production.spec_hash,
        HOW: production.how,
        ANCESTOR: production.ancestor,
        FULL_PHOTOS: str(production.full_photos),
        FIRST_WEIGHTS: production.first_weights,
        RECIPE_HASH: sha256_of(recipe) if isinstance(recipe, Path) else None,
    }
    return {tag: value for tag, value in known.items() if value is not None}


def _registered(settings: Settings, manifest: DatasetManifest) -> dict[str, str]:
    """The DOI of the dataset's own, where it was registered with GBIF before."""
    found = Registration.find(settings.paths, manifest.dataset_version)
    return {} if found is None else {DERIVED_DOI: found.doi}


def _example(settings: Settings) -> Path:
    """A photograph of the validation side."""
    split = pq.read_table(settings.paths.table("split"), columns=["photo_id", "split", "path"])
    validation = split.filter(pc.equal(split["split"], "validation")).sort_by("photo_id")
    if validation.num_rows == 0:
        raise TableError(f"{settings.paths.table('split')} has no validation photograph; lower split.min_images")
    return settings.paths.data_root / str(validation["path"][0])
