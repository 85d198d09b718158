"""A registered version, photographs of one's own, and a web server of photographs, for the tests of the command."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.ml.specificity_fixtures import photograph_bytes, release


@pytest.fixture(scope="session")
def registry() -> list[str]:
    """The options that name the registered version."""
    spec, _ = release()
    return ["--tracking-uri", spec.tracking.uri, "--model-name", spec.model_name, "--alias", "challenger"]


@pytest.fixture
def kea(tmp_path: Path) -> Path:
    """A photograph."""
    path = tmp_path / "kea.jpg"
    path.write_bytes(photograph_bytes())
    return path


@pytest.fixture
def photographs(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a folder with so many different photographs."""

    def make(count: int) -> Path:
        folder = tmp_path / "photographs"
        folder.mkdir(exist_ok=True)
        for number in range(count):
            (folder / f"{number:03}.jpg").write_bytes(photograph_bytes(size=(40 + number, 40)))
        return folder

    return make


class PhotoSite(ThreadingHTTPServer):
    """A web server: `/photo`, `/page`, `/missing`, `/endless`, `/stall`, `/drip`, `/busy` (once), `/to/ADDRESS`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), _Answers)
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Path and headers of each request."""
        self.sent = 0
        """Bytes of the endless body."""
        self.ended = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Clients leave in the middle."""

    def address(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


class _Answers(BaseHTTPRequestHandler):
    server: PhotoSite

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/endless":
            self._endless()
        elif self.path == "/stall":
            self._head(200, 1000)
            self.wfile.flush()
            self.server.ended.wait(20)
        elif self.path == "/drip":
            self._head(200, 100_000)
            for _ in range(1000):
                self.wfile.write(photograph_bytes()[:1])
                time.sleep(0.05)
        elif self.path == "/busy" and sum(path == "/busy" for path, _ in self.server.asked) == 1:
            self._head(503, 0)
        else:
            status = 404 if self.path == "/missing" else 200
            body = b"<!doctype html><title>no photograph</title>" if self.path == "/page" else photograph_bytes()
            self._head(status, len(body))
            self.wfile.write(body)

    def _head(self, status: int, length: int | None) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _endless(self) -> None:
        self._head(200, None)
        self.wfile.write(photograph_bytes())
        while not self.server.ended.is_set():
            self.wfile.write(bytes(1 << 16))
            self.server.sent += 1 << 16

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[PhotoSite]:
    """A web server of photographs on this machine."""
    server = PhotoSite()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()
