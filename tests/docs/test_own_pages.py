"""What the pages about exports and about servers print is run as printed, on files and servers that are made for it."""

import asyncio
import csv
import io
import json
import os
import shlex
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import mlflow
import pyarrow.parquet as pq
import pytest
import uvicorn
from mlflow.models.cli import commands as mlflow_models
from mlflow.pyfunc.scoring_server import init

from ml.identify.command import main
from tests.docs.printed import Block, blocks
from tests.docs.printed import commands as printed
from tests.ml.exports.test_camtrap_dp import faults
from tests.ml.exports.test_timelapse import valid
from tests.ml.images.test_capture_time import dated
from tests.ml.page.page_server import released, serving
from tests.ml.specificity_fixtures import release

ASKING, SERVING, EXPORTS = "docs/identify.md", "docs/serving.md", "docs/identify-exports.md"
STARTED = {"mlflow", "naturewatch", "export"}
"""Commands of the page about servers that start one, which the tests do for themselves."""


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Both servers: the address that is printed, and where the one of these tests listens."""
    spec, result = release()
    mlflow.set_tracking_uri(spec.tracking.uri)
    mlflow.set_registry_uri(spec.tracking.uri)
    application = init(mlflow.pyfunc.load_model(f"models:/{result.model_name}@challenger"))
    scoring = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(scoring.serve()), daemon=True)
    thread.start()
    while not scoring.started:
        assert thread.is_alive()
        thread.join(0.05)
    (port,) = {socket.getsockname()[1] for server in scoring.servers for socket in server.sockets}
    try:
        with serving(released()) as page:
            yield {"http://127.0.0.1:5001": f"http://127.0.0.1:{port}", "http://127.0.0.1:7860": page.address}
    finally:
        scoring.should_exit = True
        thread.join(30)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the photographs that the pages name, where commands are typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "PHOTO.jpg").write_bytes(dated("JPEG", "2026:11:02 06:07:08"))
    (tmp_path / "other.heic").write_bytes(dated("HEIC", "2026:11:02 06:07:08"))
    for folder in ("valley-1", "valley-2"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        (tmp_path / "photos" / folder / "a.jpg").write_bytes(dated("JPEG", "2026:11:02 06:07:08"))
    return tmp_path


def readdressed(text: str, addresses: dict[str, str]) -> str:
    for told, real in addresses.items():
        text = text.replace(told, real)
    return text


def asked(block: Block) -> str:
    """The lines of a block that ask a server."""
    return "\n".join(line for line in block.text.splitlines() if line.split(" ")[0] not in STARTED)


def test_both_servers_are_started_by_commands_that_there_are() -> None:
    starts = [command.words for command in printed() if command.block.page == SERVING and command.words[0] in STARTED]
    (serve,) = (words for words in starts if words[0] == "mlflow")
    assert serve[:3] == ("mlflow", "models", "serve")
    options = mlflow_models.commands["serve"].make_context("serve", list(serve[3:])).params
    assert (options["model_uri"], options["env_manager"]) == ("models:/naturewatch@champion", "local")
    assert ("naturewatch", "page", "--no-browser") in starts


def test_curl_asks_both_servers_as_printed(here: Path, addresses: dict[str, str]) -> None:
    answers = []
    for block in blocks("sh", page=SERVING):
        for line in asked(block).splitlines():
            answered = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", readdressed(line, addresses)],
                cwd=here, capture_output=True, text=True, check=False,
                env={**os.environ, "no_proxy": "127.0.0.1"},
            )  # fmt: skip
            assert answered.returncode == 0, f"{line}: {answered.stdout} {answered.stderr}"
            if line.startswith("curl"):
                answers.append(json.loads(answered.stdout))
    invoked, health, identified, plantnet = answers
    assert len(invoked["predictions"][0]["top"]) == 3
    assert health["status"] == "ok"
    assert identified["answers"][0]["photo"] == "PHOTO.jpg"
    assert plantnet["results"][0]["species"]["scientificName"]


def test_python_asks_both_servers_as_printed(
    here: Path, addresses: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for block in blocks("python", page=SERVING):
        exec(compile(readdressed(block.text, addresses), str(block), "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[0] for line in said[-2:]] == ["PHOTO.jpg", "other.heic"]
    with zipfile.ZipFile(here / "identifications.zip") as archive:
        assert set(archive.namelist()) == {"identifications.csv", "unanswered.csv"}


def test_the_model_is_asked_as_printed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, _ = release()
    model = ["--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name, "--alias", "challenger"]
    photograph = (here / "PHOTO.jpg").read_bytes()
    for name in ("flower.jpg", "leaf.jpg", "bark.jpg", "my-folder/one.jpg", "my-folder/two.jpg"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_bytes(photograph)
    (here / "names.csv").write_text("scientific_name,common_name,language\nAves,Vögel,de\n", encoding="utf-8")
    (here / "survey.csv").write_text("photo,organism\nflower.jpg,1\nleaf.jpg,1\nbark.jpg,2\n", encoding="utf-8")
    said = {}
    for command in printed():
        if command.block.page != ASKING or command.words[0] == "source":
            continue
        words = list(command.words)
        if words[0] == "find":
            pipe = words.index("|")
            found = subprocess.run(words[:pipe], cwd=here, capture_output=True, check=True).stdout
            assert found.count(b"\0") == 2
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(found)))
            words = words[pipe + 1 :]
        assert words[:2] == ["naturewatch", "identify"]
        assert main([*words[2:], *model]) == 0, shlex.join(words)
        said[shlex.join(words[2:])] = capsys.readouterr().out
    assert len(said) == 15
    placed = [text for line, text in said.items() if "--place" in line]
    assert len(placed) == 2
    assert all("! this version knows no places" in text for text in placed)
    (named,) = (text for line, text in said.items() if "names.csv" in line)
    assert "Vögel" in named
    (filtered,) = (text for line, text in said.items() if "Aves" in line)
    assert "nothing is promised within" in " ".join(filtered.split())
    (together,) = (text for line, text in said.items() if line.endswith("--together"))
    assert "(3 photographs)" in together.splitlines()[0]
    (organisms,) = (text for line, text in said.items() if "survey.csv" in line)
    assert organisms.count("tiny version") == 2
    with (here / "answers.csv").open() as stream:
        assert [Path(row["photo"]).name for row in csv.DictReader(stream)] == ["one.jpg", "two.jpg"]
    assert pq.read_metadata(here / "answers.parquet").num_rows == 2


def test_exports_are_written_as_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, _ = release()
    model = ["--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name, "--alias", "challenger"]
    model += ["--no-server", "--threshold", "0"]
    (cameras,) = (block for block in blocks("text", page=EXPORTS) if "deploymentID" in block.text)
    (here / "cameras.csv").write_text(cameras.text)
    named, described = (block.text for block in blocks("json", page=EXPORTS))
    (here / "options.json").write_text(described)
    written = [command.words for command in printed() if command.block.page == EXPORTS]
    assert len(written) == 3
    for words in written:
        assert main([*words[2:], *model]) == 0, shlex.join(words)
    assert faults(here / "package") == []
    with (here / "package" / "media.csv").open() as stream:
        assert {row["deploymentID"] for row in csv.DictReader(stream)} == {"valley-1", "valley-2"}
    images = valid(json.loads((here / "photos" / "naturewatch.json").read_text()))["images"]
    assert [image["file"] for image in images] == ["valley-1/a.jpg", "valley-2/a.jpg"]
    (here / "options.json").write_text(named)
    assert main([*written[0][2:], "--export-options", "options.json", "--restart", *model]) == 0
    with (here / "identifications.csv").open() as stream:
        (address,) = {row["identifiedByID"] for row in csv.DictReader(stream)}
    assert address == cast("dict[str, Any]", json.loads(named))["model_uri"]
    for block in blocks("python", page=EXPORTS):
        exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
    assert "0 identified, 1 not" in capsys.readouterr().out
