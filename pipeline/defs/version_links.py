"""From a model version to all that explains it, one click each: registry, card, run, report, dataset page."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pipeline.comparison.wording import percent
from pipeline.config.settings import Settings
from pipeline.defs.logged import CARD, DATASET_PAGE, REPORT, link, page, run_link
from pipeline.defs.metadata import Metadata
from pipeline.registry.reported_version import REPORT_PLACE
from pipeline.tracking.descriptions import COMPARISON_STAGE
from pipeline.tracking.links import version_url
from pipeline.tracking.runs import client, experiment_id

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PARENT: Final = "mlflow.parentRunId"
"""Tag that leads from a run to that of its dataset version."""
NUMBERS: Final = {
    "species right": ("final/top1", "top1"),
    "right at target": ("specificity/accuracy", "specificity_accuracy"),
}
"""What the UI shows of a version, and what its run calls it; the second name is that of earlier versions."""


def numbers_and_links(settings: Settings, version: str) -> dict[str, Metadata]:
    """What a version reached, and links to it, to its card and to the runs and pages behind it.

    A page that was never logged, as those of earlier versions of NatureWatch, has no link.

    Args:
        settings: The configuration.
        version: Number of a version of the registered model.
    """
    connected = client(settings)
    links: dict[str, Metadata] = {"version in the registry": link(version_url(settings, version))}
    run_id = connected.get_model_version(settings.registry.model_name, version).run_id
    if not run_id:
        return links
    run = connected.get_run(run_id)
    dataset = run.data.tags.get(PARENT)
    pages = {
        "model card": (run_id, CARD),
        "report": (run_id, REPORT_PLACE),
        "networks compared": (_comparison(settings, connected, dataset), REPORT),
        "dataset page": (dataset, DATASET_PAGE),
    }
    links |= {
        title: page(settings, owner, place)
        for title, (owner, place) in pages.items()
        if owner is not None and _has(connected, owner, place)
    }
    return {**_numbers(run.data.metrics), **links, "MLflow run": run_link(settings, run_id)}


def _numbers(metrics: Mapping[str, float]) -> dict[str, Metadata]:
    found = {
        title: next((metrics[name] for name in names if name in metrics), None) for title, names in NUMBERS.items()
    }
    return {title: percent(share) for title, share in found.items() if share is not None}


def _comparison(settings: Settings, connected: "MlflowClient", dataset: str | None) -> str | None:
    """The last comparison of the networks of a dataset version, by its run."""
    if dataset is None:
        return None
    condition = f"tags.`{PARENT}` = '{dataset}' and tags.`naturewatch.stage` = '{COMPARISON_STAGE}'"
    experiment = experiment_id(settings, connected)
    found = connected.search_runs([experiment], filter_string=condition, max_results=1)
    return str(found[0].info.run_id) if found else None


def _has(connected: "MlflowClient", run_id: str, place: str) -> bool:
    """Whether a run keeps a file at a place among its artifacts."""
    folder, _, _ = place.rpartition("/")
    return any(each.path == place for each in connected.list_artifacts(run_id, folder or None))
