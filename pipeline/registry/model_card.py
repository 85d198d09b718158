"""The model card: what a version was trained on, how far it can be trusted, and how to cite it. Text only."""

from collections.abc import Mapping

from ml.spec import RANKS, CalibrateResult, Rule
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import DatasetManifest

RULES: Mapping[Rule, str] = {
    "threshold": "the threshold",
    "reward": "the reward rule (Deng et al. 2012) at t =",
    "distance": "the rule of the least expected distance at t =",
}
"""What the calibrated number is of."""


def model_card(
    settings: Settings,
    manifest: DatasetManifest,
    *,
    network: str,
    metrics: Mapping[str, float],
    calibration: CalibrateResult,
) -> str:
    """A Markdown page for one model version."""
    counts = manifest.counts
    ranks = "\n".join(f"| {rank} | {metrics[f'accuracy_{rank}']:.1%} |" for rank in RANKS)
    operating_points = calibration.report.read_text(encoding="utf-8")
    return f"""# {settings.registry.model_name}: {network}

Identifies {counts["species"]:,} species from a photograph. Where the species would be a guess it answers with
the deepest taxon that it is sure enough of.

## Data
Scope `{settings.name}`, dataset version `{manifest.dataset_version}`: {counts["train"]:,} training and
{counts["validation"]:,} validation photographs, divided by {settings.split.unit}. Species with fewer than
{settings.split.min_images} usable photographs are not known to the model.

Source: {manifest.source}. Licences and holders of every photograph are in the attribution table of this version.

## Accuracy on validation photographs
Species top-1 {metrics["top1"]:.1%}, top-5 {metrics["top5"]:.1%}; mean over species {metrics["macro_top1"]:.1%}.

| rank | accuracy |
|---|---:|
{ranks}

## Specificity
With {RULES[calibration.rule]} {calibration.threshold:.4f}, chosen on {calibration.calibration_photos:,} photographs for
a target of {calibration.target:.0%}, the answers for the other {calibration.evaluation_photos:,} were right in
{calibration.evaluation_accuracy:.1%} of the cases (95 % interval {calibration.evaluation_accuracy_low:.1%} to
{calibration.evaluation_accuracy_high:.1%}) at a mean depth of {calibration.evaluation_depth:.2f} (species is 7);
{calibration.abstention_rate:.1%} got no answer.

{operating_points}

## Limits
The numbers hold for photographs like those of the dataset: what people chose to photograph and could identify.
A photograph of a species that is not in the dataset gets an answer too; the threshold then tends to answer with
a higher rank, without a guarantee.

## Training
Backbone `{settings.training.backbone}`, recipe `{settings.training.recipe}`, {settings.training.image_size} pixels,
seed {settings.training.seed}.
"""
