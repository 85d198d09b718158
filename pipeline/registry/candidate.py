"""What a candidate for the registry is made of: weights, thresholds, model card, attribution, figures and tags."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.spec import NetworkName, RegisterSpec
from pipeline.comparison.networks import NETWORKS
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest
from pipeline.errors import TableError
from pipeline.files import write_bytes
from pipeline.launching.specs import calibrated, register_spec, trained
from pipeline.registry.model_card import model_card


def candidate_spec(
    settings: Settings, manifest: DatasetManifest, *, network: NetworkName, tags: Mapping[str, str]
) -> RegisterSpec:
    """Gather all that a model version carries: weights, thresholds, card, attribution, figures, tags."""
    result = trained(settings, manifest, network=network)
    calibration = calibrated(settings, manifest, network=network)
    title = NETWORKS[network].title
    card = model_card(settings, manifest, network=title, metrics=result.metrics, calibration=calibration)
    return register_spec(
        settings,
        manifest,
        network=network,
        model_card=write_bytes(settings.paths.release / "model_card.md", card.encode()),
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


def _example(settings: Settings) -> Path:
    """A photograph of the validation side."""
    split = pq.read_table(settings.paths.table("split"), columns=["photo_id", "split", "path"])
    validation = split.filter(pc.equal(split["split"], "validation")).sort_by("photo_id")
    if validation.num_rows == 0:
        raise TableError(f"{settings.paths.table('split')} has no validation photograph; lower split.min_images")
    return settings.paths.data_root / str(validation["path"][0])
