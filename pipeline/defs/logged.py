"""Pictures and pages that MLflow keeps, as Dagster's UI shows them: a picture inline, a page one click away.

Dagster draws Markdown inline while it is shorter than 1,000 characters, so a picture is an address, not its bytes, and
MLflow's server (`naturewatch ui`) has to run. What is logged first is the run of the dataset version, by `manifest`:
assets before it have no run, and point to the assets that show their pictures.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import dagster as dg

from pipeline.config.settings import Settings
from pipeline.defs.metadata import Metadata
from pipeline.pages.dataset_page import DatasetPage
from pipeline.pages.figures import preview
from pipeline.tracking.links import artifact_page, artifact_url, run_url
from pipeline.tracking.runs import log_files

FIGURES: Final = "figures"
"""Folder of pictures among the artifacts of a run."""
PAGES: Final = {
    "dataset page": "index.html", "what was left out": "rejections.html", "what changed": "changes.html"
}  # fmt: skip
"""Pages of the dataset by title, in `reports/dataset/`."""
DATASET_PAGE: Final = "dataset/index.html"
"""Place of the dataset page among the artifacts of the run of its dataset version; the other pages are beside it."""
REPORT: Final = "comparison.html"
"""Place of the comparison's report among the artifacts of its run."""
EXAM: Final = "exam/exam.html"
"""Place of the page on the exam among the artifacts of the run that registered the challenger."""
CARD: Final = "card/model_card.html"
"""Place of the model card among the artifacts of the run that registered the version."""


def pictures(settings: Settings, run_id: str, files: Mapping[str, Path]) -> dict[str, Metadata]:
    """Pictures that the UI draws inline, at most 480 pixels wide; a click on one opens it in full size in MLflow.

    Args:
        settings: The configuration.
        run_id: The MLflow run that keeps them; they are logged here.
        files: PNG files by title.
    """
    previews = {title: preview(file) for title, file in files.items()}
    log_files(settings, run_id, {f"{FIGURES}/{file.name}": file for file in [*files.values(), *previews.values()]})
    return {
        title: dg.MetadataValue.md(
            f"[![{title}]({artifact_url(settings, run_id, f'{FIGURES}/{previews[title].name}')})]"
            f"({artifact_page(settings, run_id, f'{FIGURES}/{file.name}')})"
        )
        for title, file in files.items()
    }


def pages(settings: Settings, run_id: str, files: Mapping[str, tuple[str, Path]]) -> dict[str, Metadata]:
    """Links to HTML pages, which MLflow shows.

    Args:
        settings: The configuration.
        run_id: The MLflow run that keeps them; they are logged here.
        files: Title -> (place among the run's artifacts, HTML file).
    """
    log_files(settings, run_id, dict(files.values()))
    return {title: page(settings, run_id, place) for title, (place, _) in files.items()}


def dataset_pages(written: DatasetPage) -> dict[str, tuple[str, Path]]:
    """The pages of the dataset for `pages`, below the folder of `DATASET_PAGE`."""
    folder = DATASET_PAGE.rpartition("/")[0]
    return {title: (f"{folder}/{name}", written.files[name]) for title, name in PAGES.items()}


def page(settings: Settings, run_id: str, place: str) -> dg.MetadataValue:
    """A link to a file that a run keeps already."""
    return link(artifact_page(settings, run_id, place))


def run_link(settings: Settings, run_id: str) -> dg.MetadataValue:
    """A link to an MLflow run."""
    return link(run_url(settings, run_id))


def link(address: str, *, words: str = "open") -> dg.MetadataValue:
    """A link of a word or two.

    Dagster writes out the address of a `UrlMetadataValue`, without breaking it: MLflow's make the table of metadata
    wider than its column, and cut off the pictures.
    """
    return dg.MetadataValue.md(f"[{words}]({address})")


def shown_by(asset: str) -> dg.MetadataValue:
    """A link to the asset that shows the pictures and pages of another."""
    return dg.MetadataValue.asset(dg.AssetKey(asset))
