"""The command: a server in a process of its own, from its first line to its end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ml.images.photograph import upright_pixels
from ml.page.run_page import main
from ml.serving.answer_text import Answer
from tests.malformed import cases
from tests.ml.specificity_fixtures import photograph_bytes, release

AT_ONCE = 100
"""Malformed files of a request."""
MEGABYTES = 1_000_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def child(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A server whose data root is `root`."""
    spec, _ = release()
    command = [
        sys.executable, "-m", "ml.page.run_page", "--tracking-uri", spec.tracking.uri, "--model-name", "tiny",
        "--alias", "challenger", "--port", "0", "--data-root", str(root), "--no-browser",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def address(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def asked(address: str, photographs: list[tuple[str, bytes]]) -> list[Answer]:
    files = [("images", photograph) for photograph in photographs]
    answered = httpx.post(f"{address}/api/identify", files=files, data={"question": '{"threshold": 0.1}'}, timeout=120)
    assert answered.status_code == 200, answered.text
    found: list[Answer] = answered.json()["answers"]
    return found


def test_commands_of_this_machine_are_told_where_it_answers(
    child: subprocess.Popen[str], address: str, root: Path
) -> None:
    said = json.loads((root / "page.json").read_text())
    spec, _ = release()
    assert said.pop("started").endswith("+00:00")
    assert said == {
        "address": address, "pid": child.pid, "registry": spec.tracking.uri, "model_name": "tiny",
        "alias": "challenger",
    }  # fmt: skip
    assert httpx.get(f"{address}/health").json() == {
        "status": "ok", "model": {"name": "tiny", "version": "1"}, "registry": spec.tracking.uri, "problem": None,
    }  # fmt: skip


def test_malformed_files_are_answered_or_refused_one_by_one_in_bounded_memory(
    child: subprocess.Popen[str], address: str
) -> None:
    (good,) = asked(address, [("good.jpg", photograph_bytes())])
    process = psutil.Process(child.pid)
    before, found = process.memory_info().rss, list[Answer]()
    malformed = cases()
    for begin in range(0, len(malformed), AT_ONCE):
        part = [(case.name, case.content) for case in malformed[begin : begin + AT_ONCE]]
        found += asked(address, [*part, ("good.jpg", photograph_bytes())])[:-1]
    assert [answer["photo"] for answer in found] == [case.name for case in malformed]
    wrong = [
        (case.name, answer.get("error", "answered"))
        for case, answer in zip(malformed, found, strict=True)
        if case.right != "either" and ("error" in answer) != (case.right == "error")
    ]
    assert not wrong
    assert asked(address, [("good.jpg", photograph_bytes())]) == [good]
    assert process.memory_info().rss - before < 400 * MEGABYTES


def test_the_views_are_what_the_network_gets(address: str) -> None:
    photo = photograph_bytes(size=(400, 300), orientation=6)
    files = [("image", ("a.jpg", photo))]
    whole = httpx.post(f"{address}/api/views", files=files).json()
    assert (whole["width"], whole["height"]) == upright_pixels(photo).shape[1::-1] == (300, 400)
    assert [view["box"] for view in whole["views"]] == [[0.0625, 0.0625, 0.9375, 0.9375]]
    part = httpx.post(f"{address}/api/views", files=files, data={"region": "[0, 0, 0.5, 0.25]"}).json()
    assert [view["box"] for view in part["views"]] == [[0, 0, 0.5, 0.25]]
    for picture in (whole["photo"], whole["views"][0]["image"], part["views"][0]["image"]):
        assert picture.startswith("data:image/jpeg;base64,/9j/")
    refused = httpx.post(f"{address}/api/views", files=files, data={"region": "[0, 0, 2, 1]"})
    assert refused.status_code == 422
    assert httpx.post(f"{address}/api/views", files=[("image", ("a.jpg", b"text"))]).status_code == 422


def test_a_signal_ends_it_at_once_whoever_is_being_answered(
    child: subprocess.Popen[str], address: str, root: Path
) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /api/identify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 128 + signal.SIGTERM
    assert child.stderr is not None
    told = [line for line in child.stderr if line.startswith("naturewatch")]
    assert told == ["naturewatch: version 1 of tiny answers\n", "naturewatch: asked to end\n"]
    assert child.stdout is not None
    assert child.stdout.read() == ""
    assert not (root / "page.json").exists()


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What the command says where it cannot begin."""
    capsys.readouterr()
    assert main(["--no-browser", *options]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_port_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = refused(capsys, "--tracking-uri", "sqlite:///none", "--port", str(port))
    assert told == f"naturewatch: port {port} is in use: choose another by --port, or end what uses it\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid"),
        (["--port", "70000"], "a port is a number from 0 to 65535, not 70000"),
        (["--examples", "absent.parquet"], "cannot read the examples"),
        (["--names", "absent.csv"], "cannot read the names"),
        (["--alias", "nobody"], "has no version called 'nobody'"),
        (["--model-name", "unknown"], "holds no model 'unknown'"),
    ],
)
def test_what_cannot_be_served_is_told(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    spec, _ = release()
    defaults: dict[str, Any] = {
        "--tracking-uri": spec.tracking.uri, "--model-name": "tiny", "--alias": "challenger", "--port": "0",
    }  # fmt: skip
    defaults |= {options[0]: options[1]}
    told = refused(capsys, *(part for pair in defaults.items() for part in pair))
    assert says in told
    assert told.count("\n") == 1


def test_other_machines_are_let_in_with_a_warning_only(capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(capsys, "--tracking-uri", "sqlite:///none", "--port", "0", "--host", "0.0.0.0")
    assert told.startswith("naturewatch: warning: whoever reaches 0.0.0.0 can ask this server")
