"""From nothing to a champion, killed and interrupted on the way; then again from the UI, where all is found done."""

import json
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
from mlflow.tracking import MlflowClient
from playwright.sync_api import ConsoleMessage, Page, Request

from ml.spec import RESULT_FILE
from pipeline.dataset.manifest import content_hash
from pipeline.launching.interrupts import GO_ON
from pipeline.photos.journal import AGAIN
from tests.e2e.conftest import LONG, REPOSITORY, TABLES, Command, all_end, environment_below
from tests.pipeline import tiny
from tests.pipeline.pages.browser import chromium

# A whole run on a machine under load; each wait has its own, shorter, limit.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3 * LONG)]

ARTEFACTS = REPOSITORY / "test-artefacts"
"""Screenshots stay here after the tests."""
SHOWN_MS = 180_000
"""How long a page that a browser asks for may take on a machine under load."""
NETWORKS = {"baseline", "baseline_matched", "multi_view", "knowledge_transfer"}


def lines(file: Path) -> int:
    return file.read_text(errors="replace").count("\n") if file.exists() else 0


def sealed(data: Path) -> list[tiny.Row]:
    """The attempts of all fetches that have ended, and of killed ones that another has taken over."""
    return [row for path in sorted((data / "fetch" / "attempts").glob("*.parquet")) for row in tiny.read(path)]


@pytest.fixture(scope="module")
def finished(folder: Path) -> Path:
    """The folder of a run that was killed while fetching, interrupted while training, and then left alone."""
    environment = environment_below(folder, NATUREWATCH__PHOTOS__REQUESTS_PER_SECOND="50")
    log, data = folder / "run.log", folder / "data"
    journal = data / "fetch" / "journal.jsonl"

    run = Command("run", environment=environment, log=log)
    run.wait_until(lambda: lines(journal) > 60)
    (folder / "stored").write_text(str(lines(journal)))
    run.kill()

    run = Command("run", environment=environment, log=log)
    run.wait_until(lambda: any(data.glob("models/baseline/*/checkpoints/latest.pt")))
    started = run.descendants()
    run.signal(signal.SIGINT)
    assert run.wait() == 130
    (folder / "interrupted").write_text(run.said())
    assert all_end(started)
    # A fast machine may have finished the training before the signal reached it.
    trained = any(data.glob(f"models/baseline/*/{RESULT_FILE}"))
    (folder / "goes_on").write_text("" if trained else "going on at step")

    run = Command("run", environment=environment, log=log)
    assert run.wait() == 0, run.said()
    return folder


def client(folder: Path) -> MlflowClient:
    store = f"sqlite:///{folder}/data/mlflow.db"
    return MlflowClient(tracking_uri=store, registry_uri=store)


def test_an_interrupt_ends_with_one_sentence_and_no_trace(finished: Path) -> None:
    said = (finished / "interrupted").read_text()
    assert said.splitlines()[-1] == f"naturewatch: {GO_ON}"
    assert "Traceback" not in said
    assert "Error" not in said


def test_what_was_done_before_a_kill_is_not_done_again(finished: Path) -> None:
    attempts = sealed(finished / "data")
    assert len(attempts) >= int((finished / "stored").read_text()), "what the killed fetch had recorded is kept"
    asked = [row["photo_id"] for row in attempts if row["status"] != AGAIN]
    # A kill may lose the last moment of the journal; nothing that was recorded is asked for again.
    assert len(asked) == len(set(asked))
    logs = [path.read_text() for path in (finished / "data" / "logs").glob("*.log")]
    assert (finished / "goes_on").read_text() in "".join(logs)


def test_it_ends_in_the_same_tables_as_an_undisturbed_run(finished: Path, tmp_path: Path) -> None:
    undisturbed = Command(
        "run", "--select", "+key:split",
        environment=environment_below(tmp_path), log=tmp_path / "run.log",
    )  # fmt: skip
    assert undisturbed.wait() == 0, undisturbed.said()
    for name in TABLES:
        one, two = (root / "data" / "tables" / f"{name}.parquet" for root in (finished, tmp_path))
        assert content_hash(one) == content_hash(two), name


def test_it_ends_with_a_champion_that_carries_its_provenance(finished: Path) -> None:
    version = client(finished).get_model_version_by_alias("naturewatch", "champion")
    manifest = json.loads((finished / "data" / "tables" / "dataset.json").read_text())
    assert version.tags["naturewatch.split_hash"] == manifest["split_hash"]
    assert version.tags["gbif.doi"].startswith("10.")
    assert version.tags["gbif.download_key"]
    folder = Path(
        client(finished).get_model_version_download_uri(version.name, version.version).removeprefix("file://")
    )
    kept = {path.name for path in (folder / "artifacts").iterdir()}
    assert {"configuration.yaml", "provenance.json", "dataset.json", "croissant.json", "model_card.md"} <= kept
    record = json.loads((folder / "artifacts" / "provenance.json").read_text())
    assert (record["source"]["key"], record["snapshot"]["number"]) == (version.tags["gbif.download_key"], 1)
    card = (folder / "artifacts" / "model_card.md").read_text()
    assert card.startswith("---\n")
    assert "pipeline_tag: image-classification" in card.partition("\n---\n")[0]
    assert "pipeline_tag" not in str(version.description)


def test_it_prints_the_table_of_results_and_where_to_look(finished: Path) -> None:
    printed = (finished / "run.log").read_text()
    heading, commands = "answers shall be right", ("naturewatch ui", "naturewatch identify")
    for expected in (heading, "baseline_matched", "Champion: ", *commands):
        assert expected in printed


def test_the_events_of_a_run_take_little_room(finished: Path) -> None:
    databases = [path for path in (finished / "dagster_home" / "history" / "runs").glob("*.db") if path.stem != "index"]
    assert len(databases) == 3
    assert max(path.stat().st_size for path in databases) < 1_200_000


def test_runs_are_nested_below_the_dataset_version(finished: Path) -> None:
    connected = client(finished)
    experiment = connected.get_experiment_by_name("naturewatch")
    assert experiment is not None
    runs = {run.data.tags["naturewatch.stage"]: run for run in connected.search_runs([experiment.experiment_id])}
    calibrations = {f"specificity_{network}" for network in NETWORKS}
    assert set(runs) == {"dataset", *NETWORKS, "genus_stage", *calibrations, "comparison", "candidate"}
    parent = runs.pop("dataset")
    assert parent.inputs is not None
    assert {entry.dataset.name for entry in parent.inputs.dataset_inputs} >= set(TABLES) - {"photo_index"}
    for run in runs.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["dagster.run_url"].startswith("http")
        assert run.info.status == "FINISHED"


def test_the_champion_of_the_last_run_identifies_a_photograph(finished: Path) -> None:
    photograph = next((finished / "data" / "photos").glob("*/*.jpg"))
    told_nothing = {
        name: value for name, value in environment_below(finished).items() if not name.startswith("NATUREWATCH__")
    }
    answer = subprocess.run(
        [sys.executable, "-m", "pipeline.commands.cli", "identify", str(photograph), "--json"],
        env=told_nothing,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.startswith("naturewatch: the scope is that of the last run here, ")
    (identified,) = json.loads(answer.stdout)
    assert identified["lineage"]
    assert 0 <= identified["probability"] <= 1


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])


class Ui:
    """`naturewatch ui`, asked as its pages do."""

    def __init__(self, folder: Path) -> None:
        port, mlflow_port = free_ports()
        self.dagster, self.mlflow = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{mlflow_port}"
        self.command = Command(
            "ui", "--port", str(port), "--mlflow-port", str(mlflow_port),
            environment=environment_below(folder), log=folder / "ui.log",
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until both servers answer."""
        self.command.wait_until(lambda: answers(f"{self.dagster}/server_info") and answers(f"{self.mlflow}/health"))

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:  # noqa: ANN401
        """The data that Dagster answers."""
        asked = {"query": query, "variables": variables}
        answer = requests.post(f"{self.dagster}/graphql", json=asked, timeout=120)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data

    def latest_run(self) -> dict[str, str] | None:
        """The number and the status of the run that was started last."""
        query = "query { runsOrError(limit: 1) { ... on Runs { results { runId status } } } }"
        found: list[dict[str, str]] = self.graphql(query)["runsOrError"]["results"]
        return found[0] if found else None


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=10).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def ui(finished: Path) -> Iterator[Ui]:
    """The UI on the finished run."""
    started = Ui(finished)
    try:
        started.wait()
        yield started
    finally:
        started.command.signal(signal.SIGTERM)
        started.command.wait(timeout=120)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    quiet = (
        "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync",
    )  # fmt: skip
    with chromium(*quiet) as browser:
        yield browser.new_page(viewport={"width": 1600, "height": 1100})


@pytest.fixture
def watched(materialised: str, ui: Ui, page: Page) -> Iterator[Page]:
    """The browser, which fails the test if a page reports an error or asks for anything outside of this machine."""
    assert materialised
    outside: list[str] = []
    errors: list[str] = []

    def asked(request: Request) -> None:
        if request.url.startswith("http") and not request.url.startswith((ui.dagster, ui.mlflow)):
            outside.append(request.url)

    def said(message: ConsoleMessage) -> None:
        # MLflow's pages ask who is logged in, and a server without accounts does not know that question.
        if message.type == "error" and not message.location["url"].endswith("/mlflow/users/current"):
            errors.append(f"{message.text} ({message.location['url']})")

    page.on("request", asked)
    page.on("console", said)
    yield page
    page.remove_listener("request", asked)
    page.remove_listener("console", said)
    page.goto("about:blank")
    assert (outside, errors) == ([], [])


def shoot(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


@pytest.fixture(scope="module")
def before(finished: Path) -> dict[str, Any]:
    """What a second run must leave alone; the baseline is taken away, so that the UI has a network to train."""
    data = finished / "data"
    shutil.rmtree(data / "models" / "baseline")
    return state(data)


def state(data: Path) -> dict[str, Any]:
    weights = {path: path.stat().st_mtime_ns for path in data.glob("models/*/*/weights.safetensors")}
    tables = {name: content_hash(data / "tables" / f"{name}.parquet") for name in TABLES}
    return {"weights": weights, "tables": tables}


@pytest.fixture(scope="module")
def materialised(ui: Ui, page: Page, before: dict[str, Any]) -> str:
    """The number of a run that was started by *Materialize all* in a browser, once it has ended well."""
    earlier = ui.latest_run()
    page.goto(f"{ui.dagster}/asset-groups", wait_until="domcontentloaded", timeout=LONG * 1000)
    button = page.get_by_role("button", name=re.compile("Materialize all", re.IGNORECASE)).first
    button.click(timeout=LONG * 1000)
    # The page makes several requests before it starts the run: it has to stay open until then.
    ui.command.wait_until(lambda: ui.latest_run() != earlier)
    shoot(page, "1-materialize-all-clicked")
    # The page asks for what it shows, again and again, for as long as it is open.
    page.goto("about:blank")

    def ended() -> bool:
        time.sleep(1)
        run = ui.latest_run()
        return run is not None and run != earlier and run["status"] in {"SUCCESS", "FAILURE", "CANCELED"}

    ui.command.wait_until(ended)
    run = ui.latest_run()
    assert run is not None
    page.goto(f"{ui.dagster}/runs/{run['runId']}", wait_until="domcontentloaded")
    page.wait_for_timeout(2000)
    shoot(page, "2-run")
    assert run["status"] == "SUCCESS", ui.command.said()
    return run["runId"]


def test_materialize_all_ends_green(materialised: str, ui: Ui, page: Page) -> None:
    # The job's page draws every asset; the global lineage folds them into their groups.
    page.goto(f"{ui.dagster}/locations/naturewatch/jobs/pipeline", wait_until="domcontentloaded")
    page.wait_for_timeout(4000)
    shoot(page, "3-lineage")
    assert materialised


def test_a_second_run_changes_nothing_and_trains_only_what_is_missing(
    materialised: str, finished: Path, before: dict[str, Any]
) -> None:
    after = state(finished / "data")
    (trained,) = after["weights"].keys() - before["weights"].keys()
    assert trained.parent.parent.name == "baseline"
    del after["weights"][trained]
    assert after == before
    assert len(client(finished).search_model_versions("name = 'naturewatch'")) == 1


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        ("changes", "gained and lost"),
        ("species", "left out"),
        ("manifest", "Photographs per species"),
        ("dataset_page", "what was left out"),
        ("baseline", "validation accuracy (%)"),
        ("specificity_baseline", "95 % interval"),
        ("comparison", "The best network is"),
        ("champion", "is the champion already"),
    ],
)
def test_an_asset_shows_what_a_person_wants_to_see(materialised: str, ui: Ui, asset: str, expected: str) -> None:
    query = """
    query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
      assetMaterializations(limit: 1) { runId metadataEntries { label ... on MarkdownMetadataEntry { mdStr }
        ... on TextMetadataEntry { text } } } } } }"""
    node = ui.graphql(query, key={"path": [asset]})["assetNodeOrError"]
    (materialization,) = node["assetMaterializations"]
    assert materialization["runId"] == materialised
    shown = " ".join(
        " ".join([entry["label"], entry.get("mdStr") or "", entry.get("text") or ""])
        for entry in materialization["metadataEntries"]
    )
    assert expected in shown


def test_a_picture_is_drawn_inline_on_the_page_of_an_asset(watched: Page, ui: Ui) -> None:
    watched.goto(f"{ui.dagster}/assets/manifest", wait_until="domcontentloaded")
    picture = watched.get_by_alt_text("Photographs of the dataset")
    picture.wait_for(timeout=SHOWN_MS)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 480
    picture.scroll_into_view_if_needed()
    shoot(watched, "asset-manifest")


@pytest.mark.parametrize(
    ("link", "heading"),
    [
        ("version in the registry", "naturewatch: "),
        ("model card", "naturewatch: "),
        ("networks compared", "The networks of "),
        ("dataset page", "Dataset of "),
        ("MLflow run", None),
    ],
)
def test_from_the_champion_one_click_leads_to_all_that_explains_it(
    watched: Page, ui: Ui, link: str, heading: str | None
) -> None:
    watched.goto(f"{ui.dagster}/assets/champion", wait_until="domcontentloaded")
    row = watched.get_by_role("row").filter(has=watched.get_by_text(link, exact=True)).last
    row.get_by_role("link", name="open").click(timeout=SHOWN_MS)
    watched.wait_for_url(f"{ui.mlflow}/**", timeout=SHOWN_MS)
    # MLflow draws a page within its own, without access to it.
    place = watched.frame_locator("iframe") if "/artifacts/" in watched.url else watched
    found = place.get_by_role("heading", name=heading) if heading else place.get_by_text("naturewatch.scope")
    found.first.wait_for(timeout=SHOWN_MS)
    shoot(watched, f"champion-{link.replace(' ', '-')}")


def test_sigterm_ends_the_servers_and_all_that_they_have_started(ui: Ui, page: Page) -> None:
    started = ui.command.descendants()
    assert len(started) >= 2
    ui.command.signal(signal.SIGTERM)
    assert ui.command.wait(timeout=120) == 143
    assert all_end(started)
    assert ui.command.said().splitlines()[-1] == "naturewatch: Dagster and MLflow ended"
