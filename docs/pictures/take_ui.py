"""Takes the pictures of the UI for the docs: `python -m docs.pictures.take_ui`, while `naturewatch ui` shows a run.

The run has to be a finished one of all assets: the pictures show its assets, its networks and its champion.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
from playwright.sync_api import Locator, Page, sync_playwright

from docs.pictures.take_pages import packed

FOLDER = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1440, 900
WAIT_MS = 60_000
"""How long a page may take: the UI makes many requests before it shows anything."""
SETTLE_MS = 3_000
"""For what is drawn last: graphs and charts."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One picture: what to open, what to wait for, and what to bring into view."""

    name: str
    """The file is `ui-NAME.png`."""
    address: str
    ready: Callable[[Page], Locator]
    """What has to be visible."""
    into_view: bool = False
    """Whether to scroll to it."""
    before: Callable[[Page], None] | None = None
    """What to do before the picture is taken."""


def shots(dagster: str, mlflow: str) -> list[Shot]:
    """The pictures of both UIs, given their addresses."""
    run = _latest_run(dagster)
    view = "?workflowType=machine_learning"
    experiment = _experiment(mlflow)
    return [
        Shot(name="lineage", address=f"{dagster}/asset-groups", ready=_text("release")),
        Shot(name="runs", address=f"{dagster}/runs", ready=_text("Success")),
        Shot(name="run", address=f"{dagster}/runs/{run}", ready=_text("Success")),
        Shot(name="asset", address=f"{dagster}/assets/manifest", ready=_picture, into_view=True),
        Shot(name="champion", address=f"{dagster}/assets/champion", ready=_text("model card")),
        Shot(
            name="launchpad",
            address=f"{dagster}/locations/naturewatch/jobs/pipeline/playground",
            ready=_text("taxon_keys"),
        ),
        Shot(
            name="check",
            address=f"{dagster}/assets/split?view=checks&checkDetail=counts_add_up",
            ready=_text("adds up"),
        ),
        Shot(
            name="mlflow-runs",
            address=f"{mlflow}/#/experiments/{experiment}/runs{view}",
            ready=_text("dataset"),
            before=_unfold,
        ),
        Shot(
            name="mlflow-model",
            address=f"{mlflow}/#/models/naturewatch/versions/1{view}",
            ready=_text("champion"),
            before=_close_assistant,
        ),
    ]


def _text(words: str) -> Callable[[Page], Locator]:
    return lambda page: page.get_by_text(words).locator("visible=true").first


def _close_assistant(page: Page) -> None:
    """Close the panel that MLflow opens by itself on a local server."""
    close = page.get_by_role("button", name="Close")
    if close.count():
        close.first.click()


def _unfold(page: Page) -> None:
    """Show the runs of the first dataset."""
    _close_assistant(page)
    page.locator("[role=gridcell] button").first.click()


def _picture(page: Page) -> Locator:
    return page.get_by_alt_text("Photographs of the dataset")


def _latest_run(dagster: str) -> str:
    """The run that was finished last."""
    query = "{ runsOrError(limit: 1, filter: {statuses: [SUCCESS]}) { ... on Runs { results { runId } } } }"
    found = requests.post(f"{dagster}/graphql", json={"query": query}, timeout=60)
    found.raise_for_status()
    runs = found.json()["data"]["runsOrError"]["results"]
    if not runs:
        sys.exit(f"{dagster} shows no finished run: materialise all assets first")
    return str(runs[0]["runId"])


def _experiment(mlflow: str) -> str:
    asked = requests.get(
        f"{mlflow}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "naturewatch"}, timeout=60
    )
    asked.raise_for_status()
    return str(asked.json()["experiment"]["experiment_id"])


def take(page: Page, shot: Shot, folder: Path) -> Path:
    """Open a page and keep a picture of it."""
    page.goto(shot.address, wait_until="domcontentloaded")
    ready = shot.ready(page)
    ready.wait_for(timeout=WAIT_MS)
    if shot.into_view:
        ready.scroll_into_view_if_needed()
    page.wait_for_timeout(SETTLE_MS)
    if shot.before is not None:
        shot.before(page)
        page.wait_for_timeout(SETTLE_MS)
    path = folder / f"ui-{shot.name}.png"
    path.write_bytes(packed(page.screenshot()))
    return path


def main() -> None:
    """Take every picture, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which pictures; all by default")
    parser.add_argument("--dagster", default="http://127.0.0.1:3000", help="address of Dagster's UI")
    parser.add_argument("--mlflow", default="http://127.0.0.1:5000", help="address of MLflow's UI")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    given = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("no chromium on this machine: install the distribution's package")
    wanted = shots(given.dagster.rstrip("/"), given.mlflow.rstrip("/"))
    unknown = set(given.names) - {shot.name for shot in wanted}
    if unknown:
        sys.exit(f"no picture {', '.join(sorted(unknown))}; there are {', '.join(shot.name for shot in wanted)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for shot in wanted:
            if not given.names or shot.name in given.names:
                sys.stdout.write(f"{take(page, shot, given.folder)}\n")
        browser.close()


if __name__ == "__main__":
    main()
