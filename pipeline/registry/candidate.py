"""What a candidate for the registry is made of: weights, thresholds, model card, attribution, figures and tags."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.spec import NetworkName, RegisterSpec
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.files import write_bytes
from pipeline.launching.specs import calibrated, register_spec, trained
from pipeline.registry.card_facts import card_facts
from pipeline.registry.card_page import card_page
from pipeline.registry.model_card import model_card
from pipeline.registry.version_record import documents


def candidate_spec(
    settings: Settings, manifest: DatasetManifest, *, network: NetworkName, tags: Mapping[str, str]
) -> RegisterSpec:
    """Gather all that a model version carries: weights, thresholds, card, attribution, figures, tags."""
    result = trained(settings, manifest, network=network)
    calibration = calibrated(settings, manifest, network=network)
    facts = card_facts(settings, manifest, network=network, commit=tags.get("git.commit", "unknown"))
    folder = settings.paths.release
    spec = register_spec(
        settings,
        manifest,
        network=network,
        model_card=write_bytes(folder / "model_card.md", model_card(facts).encode()),
        model_page=write_bytes(folder / "model_card.html", card_page(facts).encode()),
        attribution=settings.paths.table("attribution"),
        example=_example(settings),
        metrics={
            **result.metrics,
            "specificity_accuracy": calibration.evaluation_accuracy,
            "specificity_depth": calibration.evaluation_depth,
            "specificity_threshold": calibration.threshold,
        },
        figures={**result.figures, **calibration.figures},
        tags=tags,
    )
    return spec.model_copy(update={"documents": documents(settings, manifest, training=result)})


def _example(settings: Settings) -> Path:
    """A photograph of the validation side."""
    split = pq.read_table(settings.paths.table("split"), columns=["photo_id", "split", "path"])
    validation = split.filter(pc.equal(split["split"], "validation")).sort_by("photo_id")
    if validation.num_rows == 0:
        raise TableError(f"{settings.paths.table('split')} has no validation photograph; lower split.min_images")
    return settings.paths.data_root / str(validation["path"][0])
