"""What MLflow's UI makes of the addresses in `pipeline.tracking.links`, in a real browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from pipeline.config.settings import Settings
from pipeline.tracking.links import artifact_page, artifact_url, experiment_url
from pipeline.tracking.runs import client, describe_store, experiment_id, log_files
from tests.mlflow_stores import mlflow_server

HTML = """<!doctype html><html lang="en"><title>Species</title><h1>Species</h1><input id="search"><p id="found"></p>
<script>
document.getElementById("search").oninput = event => {
  document.getElementById("found").textContent = "found " + event.target.value;
};
</script></html>"""
LONG = 90_000
"""Milliseconds: MLflow's UI is six megabytes of scripts, and machines may be busy."""


@pytest.fixture
def page() -> Iterator[Page]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("no chromium on this machine; `make test` installs it from the distribution")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1600, "height": 1000})
        opened.set_default_timeout(LONG)
        yield opened
        browser.close()


def test_a_page_with_a_script_and_a_picture_are_shown_in_the_view_of_trainings(
    make_settings: Callable[..., Settings], tmp_path: Path, page: Page
) -> None:
    there = make_settings(registry={"tracking_uri": mlflow_server(), "experiment": "of test_in_browser"})
    connected = client(there)
    describe_store(there, connected)
    run_id = connected.create_run(experiment_id(there, connected), run_name="dataset v1").info.run_id
    (tmp_path / "index.html").write_text(HTML, encoding="utf-8")
    Image.new("RGB", (30, 20)).save(tmp_path / "map.png")
    log_files(there, run_id, {"dataset/index.html": tmp_path / "index.html", "figures/map.png": tmp_path / "map.png"})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(artifact_page(there, run_id, "dataset/index.html"))
    page.get_by_role("tab", name="Model metrics").wait_for()
    drawn = page.frame_locator("iframe")
    drawn.locator("#search").fill("Nestor")
    assert drawn.locator("#found").inner_text() == "found Nestor"

    width = page.evaluate(
        "address => new Promise(done => { const picture = new Image(); picture.onerror = () => done(0);"
        " picture.onload = () => done(picture.naturalWidth); picture.src = address; })",
        artifact_url(there, run_id, "figures/map.png"),
    )
    assert width == 30

    page.goto(experiment_url(there))
    page.get_by_text("Datasets of NatureWatch and the networks trained on them").wait_for()
    page.get_by_text("dataset v1").first.wait_for()
    assert not [address for address in asked if not address.startswith((mlflow_server(), "blob:", "data:"))]
