"""The header of `model_card.md` that Hugging Face's hub reads: licence, library, tags, data and results as YAML.

MLflow's description and Dagster's metadata show the card without it (`card_body`): they would draw it as text.
"""

import re
from typing import Final

from ml.spec import card_body
from pipeline.pages.web_addresses import doi_address
from pipeline.registry.card_facts import CardFacts

TASK: Final = "image-classification"
TAGS: Final = ("image-classification", "species-identification", "biodiversity", "taxonomy", "calibration", "vision")
METRICS: Final = {
    "top1": ("accuracy", "species right (top-1)"),
    "top5": ("accuracy", "species among the five most probable (top-5)"),
    "macro_top1": ("accuracy", "species right, every species counted alike"),
    "accuracy_genus": ("accuracy", "genus right"),
    "ece": ("expected_calibration_error", "expected calibration error"),
}
"""Metric of a training -> the hub's type, and what it is."""
LICENCE: Final = "undecided"
"""Nothing in NatureWatch licenses weights; the licences of the photographs are counted in the card."""
_HUB: Final = re.compile(r"hf-hub:([\w.-]+/[\w.-]+)")


def with_header(card: str, facts: CardFacts) -> str:
    """The card below the header of its numbers."""
    # It is only needed where a version is registered.
    from huggingface_hub import EvalResult, ModelCardData  # noqa: PLC0415

    manifest, calibration = facts.manifest, facts.calibration
    dataset = f"NatureWatch {manifest.scope}, dataset {manifest.dataset_version}"

    def result(kind: str, name: str, value: float, *, split: str) -> EvalResult:
        return EvalResult(
            task_type=TASK,
            dataset_type="naturewatch",
            dataset_name=dataset,
            dataset_split=split,
            dataset_revision=manifest.dataset_version,
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 4),
        )

    metrics = facts.training.metrics
    results = [
        result(kind, name, metrics[key], split="validation") for key, (kind, name) in METRICS.items() if key in metrics
    ]
    asked = f"answers right, asked for {100 * calibration.target:g} % (threshold {calibration.threshold:.4f})"
    results += [
        result("accuracy", asked, calibration.evaluation_accuracy, split="evaluation half of validation"),
        result(
            "depth", "mean depth of these answers (species 7)", calibration.evaluation_depth,
            split="evaluation half of validation",
        ),
    ]  # fmt: skip
    address = doi_address(manifest.doi)
    data = ModelCardData(
        library_name="mlflow",
        pipeline_tag=TASK,
        license="other",
        license_name=LICENCE,
        tags=[*TAGS, *(["gbif"] if address else [])],
        # The hub knows none of them by name: their DOI, where they have one.
        datasets=[address or f"naturewatch-{manifest.dataset_version}"],
        base_model=base_model(
            facts.settings.training.backbone, weights=facts.production.first_weights or facts.settings.training.weights
        ),
        model_name=facts.settings.registry.model_name,
        eval_results=results,
    )
    return f"---\n{data.to_yaml().strip()}\n---\n\n{card_body(card)}"


def base_model(backbone: str, *, weights: str) -> str | None:
    """The repository on Hugging Face's hub that the first weights came from; None where there is none or it is unknown.

    A bare name of a timm network leaves the choice of weights to timm.
    """
    if weights != "hub":
        return None
    hub = _HUB.match(backbone)
    if hub is not None:
        return hub[1]
    return f"timm/{backbone}" if "." in backbone and ":" not in backbone else None
