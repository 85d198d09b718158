"""The road from the UI: *Materialize all*, clicked in a real browser, ends green."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, sync_playwright

from tests.e2e.conftest import road_environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ARTEFACTS = Path(__file__).resolve().parents[2] / "test-artefacts"
"""Screenshots stay here after the tests."""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _graphql(address: str, query: str, **variables: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = requests.post(f"{address}/graphql", json={"query": query, "variables": variables}, timeout=30)
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`dagster dev -w workspace.yaml`, as a person starts it."""
    folder = tmp_path_factory.mktemp("ui")
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    environment = road_environment(folder, NATUREWATCH__REGISTRY__DAGSTER_URL=address)
    binary = Path(sys.executable).parent / "dagster"
    repository = Path(__file__).resolve().parents[2]
    with (folder / "dagster.log").open("wb") as log:
        server = subprocess.Popen(
            [str(binary), "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
            cwd=repository,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    requests.get(f"{address}/server_info", timeout=2).raise_for_status()
                    break
                except requests.RequestException:
                    if time.monotonic() > deadline or server.poll() is not None:
                        pytest.fail((folder / "dagster.log").read_text(errors="replace")[-3000:])
                    time.sleep(0.5)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.fail("no chromium on this machine; `make test` installs it from the distribution")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        )  # fmt: skip
        yield browser.new_page(viewport={"width": 1600, "height": 1100})
        browser.close()


def _shoot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def test_materialize_all_ends_green(dagster: str, page: Page) -> None:
    page.goto(f"{dagster}/asset-groups", wait_until="domcontentloaded")
    page.get_by_role("button", name=re.compile("Materialize all", re.IGNORECASE)).first.click(timeout=60_000)
    _shoot(page, "1-materialize-all-clicked")

    latest = "query { runsOrError(limit: 1) { ... on Runs { results { runId status } } } }"
    deadline = time.monotonic() + 600
    status, run_id = "NONE", ""
    while status not in {"SUCCESS", "FAILURE", "CANCELED"} and time.monotonic() < deadline:
        time.sleep(2)
        runs = _graphql(dagster, latest)["runsOrError"]["results"]
        if runs:
            status, run_id = runs[0]["status"], runs[0]["runId"]
    page.goto(f"{dagster}/runs/{run_id}", wait_until="domcontentloaded")
    page.wait_for_timeout(3000)
    _shoot(page, "2-run")
    assert status == "SUCCESS"

    # The job's page draws every asset; the global lineage folds them into their groups.
    page.goto(f"{dagster}/locations/naturewatch/jobs/road", wait_until="domcontentloaded")
    page.wait_for_timeout(8000)
    _shoot(page, "3-lineage")


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        ("changes", "What the release changed"),
        ("species", "Photographs per species"),
        ("split", "contact_sheet"),
        ("dataset_page", "Species per class"),
        ("baseline", "mlflow_run"),
        ("specificity_baseline", "threshold"),
        ("champion", "first champion"),
    ],
)
def test_an_asset_shows_what_a_person_wants_to_see(dagster: str, page: Page, asset: str, expected: str) -> None:
    query = """
    query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
      assetMaterializations(limit: 1) { metadataEntries { label ... on MarkdownMetadataEntry { mdStr }
        ... on TextMetadataEntry { text } } } } } }"""
    node = _graphql(dagster, query, key={"path": [asset]})["assetNodeOrError"]
    (materialization,) = node["assetMaterializations"]
    shown = " ".join(
        " ".join([entry["label"], entry.get("mdStr") or "", entry.get("text") or ""])
        for entry in materialization["metadataEntries"]
    )
    assert expected in shown
    page.goto(f"{dagster}/assets/{asset}", wait_until="domcontentloaded")
    page.wait_for_timeout(4000)
    _shoot(page, f"asset-{asset}")
