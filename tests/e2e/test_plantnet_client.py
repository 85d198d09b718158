"""Pl@ntNet's own web component, from npm, asks this server in a real browser."""

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.ml.page.page_server import released, serving
from tests.ml.specificity_fixtures import photograph_bytes
from tests.pipeline.pages.browser import chromium

COMPONENT = "ai-taxonomist@0.7.0"
HELPERS = "tslib@2"
"""The component imports it, and does not say so in its list of dependencies."""
SECONDS = 120


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the component and what it imports, as npm installs them."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm, which brings the component, is not on this machine")
    folder = tmp_path_factory.mktemp("site")
    (folder / "package.json").write_text("{}")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev", COMPONENT, HELPERS]
    try:
        installed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not bring {COMPONENT} within {SECONDS} seconds")
    if installed.returncode:
        pytest.skip(f"npm does not bring {COMPONENT}: {installed.stderr.strip().splitlines()[-1:]}")
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the site without a line for each file."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the site's pages are: another origin than the server's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def imports(site: Path) -> str:
    """The map from the names that the component imports to files: browsers read no package.json."""
    found: dict[str, str] = {}
    modules = site / "node_modules"
    for description in sorted([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")]):
        facts = json.loads(description.read_text())
        place = f"/node_modules/{description.parent.relative_to(modules).as_posix()}/"
        found[facts["name"]] = place + str(facts.get("module") or facts.get("main") or "index.js").removeprefix("./")
        found[f"{facts['name']}/"] = place
    return json.dumps({"imports": found})


def test_the_component_lists_the_species_of_a_photograph(site: Path, address: str, tmp_path: Path) -> None:
    photo = tmp_path / "kaka.jpg"
    photo.write_bytes(photograph_bytes(size=(400, 300)))
    with serving(released(origins=frozenset({address}))) as running, chromium() as browser:
        (site / "index.html").write_text(
            f"""<!doctype html><title>Another site</title><script type="importmap">{imports(site)}</script>
            <script type="module" src="/node_modules/ai-taxonomist/dist/src/ai-taxonomist.js"></script>
            <ai-taxonomist apiUrl="{running.address}/v2/identify/all?no-reject=true"></ai-taxonomist>"""
        )
        page = browser.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.locator("ai-taxonomist input[type=file]").first.set_input_files(photo)
        results = page.locator("ai-taxonomist taxon-results")
        for text in ("Nestor meridionalis", "Strigopidae", "Morus alba"):
            results.get_by_text(text).first.wait_for(timeout=60_000)
    assert not complaints
