"""GBIF is asked politely: what is transient is asked again after the wait that GBIF names, nothing else is."""

import base64
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import stamina

from pipeline.errors import GbifError
from pipeline.gbif import client as http_module
from pipeline.gbif.answers import Page
from pipeline.gbif.client import Api, Credentials, NotFoundError

BODY = bytes(range(256)) * 2000


class Gbif(ThreadingHTTPServer):
    """A server whose answers a test puts in a queue."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.seen: list[tuple[float, str, dict[str, str]]] = []
        self.cut_after: int | None = None
        self.always_cut_after: int | None = None
        self.serves_ranges = True

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
        asked = self.headers.get("Range", "bytes=0-") if self.server.serves_ranges else "bytes=0-"
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        cut = self.server.always_cut_after or self.server.cut_after
        end = len(BODY) if cut is None else start + cut
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


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!doctype html><title>GBIF</title><p>This page is restricted", "'GBIF This page is restricted' where JSON"),
        (b"<html><script>var secret=1</script>busy</html>", "'busy' where JSON"),
        (b'{"count": 3, "resul', "where JSON was expected"),
        (b"[]", "where Page was expected"),
        (b"null", "where Page was expected"),
        (b'"text"', "where Page was expected"),
        (b"{}", "count: Field required"),
        (b'{"count": null}', "count: Field required"),
        (b'{"count": "many"}', "count: "),
        (b'{"count": 3, "results": {"a": 1}}', "results: "),
        (b'{"count": 3, "results": [3]}', "results.0: "),
        (b"\xff\xfe\x00", "where JSON was expected"),
        (b"\x1f\x8b\x08garbage", "where JSON was expected"),
        (b"[" * 100_000, "where JSON was expected"),
        (b"", "'' where JSON was expected"),
    ],
)
def test_an_answer_that_is_no_document_of_gbif_is_a_sentence_and_the_last_word(
    gbif: Gbif, body: bytes, said: str
) -> None:
    gbif.answers = [(200, {}, body)]
    with pytest.raises(GbifError, match=r"search.* answered .*check source\.api_url") as caught:
        Api(gbif.url).get("/occurrence/search", Page)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 600
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_byte_order_mark_before_json_is_no_fault(gbif: Gbif) -> None:
    gbif.answers = [(200, {}, b'\xef\xbb\xbf{"count": 4}')]
    assert Api(gbif.url).get("/occurrence/search", Page).count == 4


def test_a_body_that_is_not_in_its_encoding_is_a_sentence(gbif: Gbif) -> None:
    gbif.answers = [(200, {"Content-Encoding": "gzip"}, b"no gzip at all")]
    with pytest.raises(GbifError, match="cannot be decoded"):
        Api(gbif.url).get("/occurrence/search", Page)
    assert len(gbif.seen) == 1


def test_a_page_for_people_is_no_citation(gbif: Gbif) -> None:
    gbif.answers = [(200, {}, b"\n <HTML><body>Log in</body>")]
    with pytest.raises(GbifError, match="'Log in' where plain text"):
        Api(gbif.url).get_text("/occurrence/download/1/citation")


@pytest.mark.parametrize(
    ("user", "password"),
    [("kea", "Bl\u00e5b\u00e6rgr\u00f8d"), ("\u043a\u0435\u0430", "\u043f\u0430\u0440\u043e\u043b\u044c")],
)
def test_credentials_are_sent_in_utf_8(gbif: Gbif, user: str, password: str) -> None:
    account = Credentials(user=user, password=password, email="kea@example.org")
    Api(gbif.url, credentials=account).get("/occurrence/search", Page, authenticated=True)
    sent = gbif.seen[0][2]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"{user}:{password}"


def test_a_user_name_with_a_colon_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GBIF_USER": "kea:secret", "GBIF_PASSWORD": "secret", "GBIF_EMAIL": "k@example.org"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GbifError, match="no colon"):
        Credentials.from_environment()


@pytest.mark.parametrize(
    ("contact", "sent"),
    [
        ("T\u0101maki <kea@example.org>", "(+T%C4%81maki <kea@example.org>)"),
        ("\u043a\u0435\u0430", "(+%D0%BA%D0%B5%D0%B0)"),
        ("two\r\nlines: yes", "(+two lines: yes)"),
        ("https://example.org/a%20b?c", "(+https://example.org/a%20b?c)"),
    ],
)
def test_a_contact_is_only_a_text(gbif: Gbif, contact: str, sent: str) -> None:
    Api(gbif.url, contact=contact).get("/occurrence/search", Page)
    assert gbif.seen[0][2]["User-Agent"].endswith(sent)


def test_attempts_are_counted_since_the_last_progress(
    gbif: Gbif, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "PAUSE", 0.0)
    monkeypatch.setattr(http_module, "CHUNK", 1 << 12)
    gbif.always_cut_after = 16_384
    target = tmp_path / "archive.zip"
    Api(gbif.url).download("/archive.zip", target)
    assert target.read_bytes() == BODY
    assert len(gbif.seen) > 3 * http_module.ATTEMPTS


def test_a_host_that_never_sends_more_is_given_up(gbif: Gbif, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "PAUSE", 0.0)
    gbif.always_cut_after = 100
    gbif.serves_ranges = False
    stamina.set_testing(True, attempts=3)
    try:
        with pytest.raises(GbifError, match="did not answer in several attempts"):
            Api(gbif.url).download("/archive.zip", tmp_path / "archive.zip")
    finally:
        stamina.set_testing(False)
    assert 3 <= len(gbif.seen) <= 4
