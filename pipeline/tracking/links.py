"""Addresses in MLflow's UI and of its files, for people: links in Dagster, in pages and in the terminal.

MLflow's UI opens on traces of language models unless an address says `workflowType=machine_learning`; every page here
does. Pages and files need MLflow's server (`naturewatch ui`, or the remote one); to make an address needs no server.
"""

from urllib.parse import quote, urlencode

from pipeline.config.settings import Settings
from pipeline.tracking.runs import client, experiment_id
from pipeline.tracking.server import web_address

TRAINING_VIEW = "workflowType=machine_learning"
"""Makes MLflow's UI show runs, metrics and models."""


def experiment_url(settings: Settings) -> str:
    """The page with the experiment's runs."""
    return _page(settings, f"experiments/{_experiment(settings)}/runs")


def run_url(settings: Settings, run_id: str) -> str:
    """The page of a run: its description, metrics, parameters and files."""
    return _page(settings, f"experiments/{_experiment(settings)}/runs/{run_id}")


def artifact_page(settings: Settings, run_id: str, path: str) -> str:
    """The page that shows a file of a run: a picture, Markdown, or an HTML page drawn within MLflow's.

    MLflow draws HTML in a frame with `sandbox="allow-scripts"`, from a blob: address. Scripts run there (a search
    works), styles and data: pictures are shown, and that is all: no link opens, neither to another site, nor to a file
    beside the page, nor to an anchor within it (a script may scroll to it), and `localStorage` raises a SecurityError.
    The arrow at the top of MLflow's page downloads the file; opened from disk, its links work.

    Args:
        settings: The configuration.
        run_id: The run that the file was logged to.
        path: Where it lies in the run's artifacts (`dataset/index.html`).
    """
    return _page(settings, f"experiments/{_experiment(settings)}/runs/{run_id}/artifacts/{quote(path)}")


def artifact_url(settings: Settings, run_id: str, path: str) -> str:
    """The bytes of a file of a run, for pictures inside Markdown or HTML.

    MLflow's server sends every file as an attachment: an `<img>` shows it, a click downloads it. A page that people
    shall read is linked with `artifact_page`.
    """
    return f"{web_address(settings)}/get-artifact?{urlencode({'path': path, 'run_uuid': run_id})}"


def version_url(settings: Settings, version: str) -> str:
    """The page of a version of the registered model: its card, aliases and tags."""
    return _page(settings, f"models/{quote(settings.registry.model_name, safe='')}/versions/{version}")


def _experiment(settings: Settings) -> str:
    return experiment_id(settings, client(settings))


def _page(settings: Settings, place: str) -> str:
    return f"{web_address(settings)}/#/{place}?{TRAINING_VIEW}"
