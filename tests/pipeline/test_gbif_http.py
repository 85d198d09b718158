"""GBIF is asked politely: what is transient is asked again after the wait that GBIF names, nothing else is."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.errors import GbifError
from pipeline.gbif.answers import Page
from pipeline.gbif.http import Api, Credentials, NotFoundError

BODY = bytes(range(256)) * 2000


class Gbif(ThreadingHTTPServer):
    """A server whose answers a test puts in a queue."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.seen: list[tuple[float, str, dict[str, str]]] = []
        self.cut_after: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Gbif

    def do_GET(self) -> None:
        self.server.seen.append((time.monotonic(), self.path, dict(self.headers)))
        if self.path.endswith(".zip"):
            self._archive()
            return
        status, headers, body = (
            self.server.answers.pop(0) if self.server.answers else (200, {}, b'{"count": 3, "results": []}')
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _archive(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        end = len(BODY) if self.server.cut_after is None else start + self.server.cut_after
        self.server.cut_after = None
        self.wfile.write(BODY[start:end])

    def log_message(self, *_: object) -> None:
        """Say nothing: a test reads `seen` instead."""


@pytest.fixture
def gbif() -> Iterator[Gbif]:
    with Gbif() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_too_many_requests_are_asked_again_after_the_wait_that_gbif_names(gbif: Gbif) -> None:
    gbif.answers = [(429, {"Retry-After": "1"}, b"slower")]
    assert Api(gbif.url).get("/occurrence/search", Page).count == 3
    first, second = (moment for moment, _, _ in gbif.seen)
    assert second - first >= 1.0


@pytest.mark.parametrize("status", [420, 500, 503])
def test_a_passing_fault_is_asked_again(gbif: Gbif, status: int) -> None:
    gbif.answers = [(status, {"Retry-After": "0"}, b"later")]
    assert Api(gbif.url).get("/occurrence/search", Page).count == 3
    assert len(gbif.seen) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_an_error_at_once_in_gbifs_own_words(gbif: Gbif, status: int) -> None:
    gbif.answers = [(status, {}, b"Invalid UUID string: foo-bar")]
    with pytest.raises(GbifError, match="Invalid UUID string: foo-bar") as caught:
        Api(gbif.url).get("/occurrence/search", Page)
    assert len(gbif.seen) == 1
    assert isinstance(caught.value, NotFoundError) is (status == 404)


def test_the_user_agent_says_who_asks_and_how_to_reach_them(gbif: Gbif) -> None:
    Api(gbif.url, contact="mailto:somebody@example.org").get("/occurrence/search", Page)
    assert gbif.seen[0][2]["User-Agent"].startswith("NatureWatch/")
    assert "mailto:somebody@example.org" in gbif.seen[0][2]["User-Agent"]


def test_an_archive_that_breaks_off_is_gone_on_with_by_range(gbif: Gbif, tmp_path: Path) -> None:
    gbif.cut_after = 200_000
    target = tmp_path / "archive.zip"
    Api(gbif.url).download("/archive.zip", target)
    assert target.read_bytes() == BODY
    assert [headers.get("Range") for _, _, headers in gbif.seen] == [None, "bytes=196608-"]


def test_an_archive_that_is_here_already_is_left_alone(gbif: Gbif, tmp_path: Path) -> None:
    target = tmp_path / "archive.zip"
    target.write_bytes(BODY)
    Api(gbif.url).download("/archive.zip", target)
    assert target.read_bytes() == BODY


def test_bytes_that_the_remote_file_never_had_are_fetched_anew(gbif: Gbif, tmp_path: Path) -> None:
    target = tmp_path / "archive.zip"
    target.write_bytes(BODY + b"of a former, longer file")
    Api(gbif.url).download("/archive.zip", target)
    assert target.read_bytes() == BODY


def test_who_is_asked_to_come_back_tomorrow_does_not_ask_early(gbif: Gbif) -> None:
    gbif.answers = [(429, {"Retry-After": "86400"}, b"tomorrow")]
    with pytest.raises(GbifError, match="86,400 seconds"):
        Api(gbif.url).get("/occurrence/search", Page)
    assert len(gbif.seen) == 1


def test_the_password_is_in_no_text_of_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GBIF_USER": "kea", "GBIF_PASSWORD": "hush-hush", "GBIF_EMAIL": "kea@example.org"}.items():
        monkeypatch.setenv(name, value)
    assert "hush-hush" not in repr(Credentials.from_environment())


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBIF_USER", "kea")
    with pytest.raises(GbifError, match="GBIF_PASSWORD, GBIF_EMAIL"):
        Credentials.from_environment()
