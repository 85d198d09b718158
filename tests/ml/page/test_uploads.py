"""Requests that are too large, too slow, or no forms: refused in a sentence, before they fill memory or time."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ml.page.page_settings import Limits
from tests.ml.page.page_server import Running, released, serving
from tests.ml.specificity_fixtures import photograph_bytes

FORM = {"content-type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
TINY = b'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n\r\n'


@pytest.fixture(scope="module")
def narrow() -> Iterator[Running]:
    """A server with little patience."""
    limits = Limits(
        files=3, file_bytes=20_000, request_bytes=200_000, places=1, stall_seconds=0.5, upload_seconds=2
    )  # fmt: skip
    with serving(released(limits=limits)) as running:
        yield running


def photographs(number: int, *, content: bytes | None = None) -> list[tuple[str, tuple[str, bytes]]]:
    return [("images", (f"{each}.jpg", content or photograph_bytes())) for each in range(number)]


def refused(running: Running, status: int, **request: object) -> str:
    """The sentence of a refusal, after which the server answers as before."""
    answer = running.client.post("/api/identify", **request)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    assert running.client.post("/api/identify", files=photographs(1)).status_code == 200
    sentence = answer.json()["detail"]
    assert isinstance(sentence, str)
    return sentence


def test_limits_are_told(narrow: Running) -> None:
    limits = narrow.client.get("/api/model").json()["limits"]
    assert limits == {"files": 3, "bytes": 20_000, "request_bytes": 200_000, "pixels": 100_000_000}


def test_too_many_photographs(narrow: Running) -> None:
    assert refused(narrow, 422, files=photographs(4)) == "a request may have 3 photographs at most"


def test_a_photograph_that_is_too_large(narrow: Running) -> None:
    assert "20,000 bytes" in refused(narrow, 413, files=photographs(1, content=bytes(20_001)))


def test_a_request_that_is_too_large(narrow: Running) -> None:
    assert "200,000 bytes" in refused(narrow, 413, files=photographs(1), data={"a": "b" * 200_000})


def test_a_request_of_unknown_length_that_does_not_end(narrow: Running) -> None:
    def endless() -> Iterator[bytes]:
        yield PART
        for _ in range(40):
            yield bytes(10_000)

    assert "20,000 bytes" in refused(narrow, 413, content=endless(), headers=FORM)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"rubbish", "no multipart form"),
        (b"--x\r\n" + b"a: b\r\n" * 5_000, "no multipart form"),
        (b"--x\r\nContent-Disposition: " + b"a" * 50_000, "no multipart form"),
        (TINY * 60 + b"--x--\r\n", "Too many fields"),
        (b'--x\r\nContent-Disposition: form-data; name="question"\r\n\r\n' + b"a" * 70_000 + b"\r\n--x--\r\n", "64KB"),
        (b"--x\r\n\r\nabc\r\n--x--\r\n", "Content-Disposition"),
    ],
    ids=["rubbish", "headers", "header", "fields", "field", "nameless"],
)
def test_what_is_no_form(narrow: Running, body: bytes, says: str) -> None:
    assert says in refused(narrow, 400, content=body, headers=FORM)


@pytest.mark.parametrize(
    ("fields", "files", "says"),
    [
        ({"question": "{"}, True, "does not hold JSON"),
        ({"question": "[" * 50_000}, True, "does not hold JSON"),
        ({"question": "[]"}, True, "must be an object"),
        ({"question": '{"targt": 1}'}, True, "did you mean target"),
        ({"question": '{"within": ["Dodo"]}'}, True, "knows no taxon"),
        ({"together": "perhaps"}, True, "true or false"),
        ({"images": "text"}, True, "must be a file"),
        ({"question": "{}"}, False, "has no photograph"),
    ],
    ids=["json", "deep", "list", "typo", "taxon", "together", "text", "none"],
)
def test_what_is_no_question(narrow: Running, fields: dict[str, str], files: bool, says: str) -> None:  # noqa: FBT001
    other = [] if files else [("question", (None, fields["question"].encode()))]
    data = fields if files else {}
    assert says in refused(narrow, 422, files=photographs(1) if files else other, data=data)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/mixed; boundary=x", "image/jpeg"])
def test_what_is_no_multipart(narrow: Running, kind: str) -> None:
    assert "multipart/form-data" in refused(narrow, 415, content=b"{}", headers={"content-type": kind})


def connected(running: Running, *, length: int) -> socket.socket:
    """A connection on which a request has begun."""
    parts = urlsplit(running.address)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
    head = f"POST /api/identify HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n"
    connection.sendall(f"{head}Content-Type: {FORM['content-type']}\r\n\r\n".encode() + PART)
    return connection


def test_a_client_that_sends_nothing_more_is_not_waited_for(narrow: Running) -> None:
    with connected(narrow, length=10_000) as connection:
        answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"nothing came for 0.5 seconds" in answer or b"nothing came" in connection.recv(10_000)


def test_all_places_taken(narrow: Running) -> None:
    with connected(narrow, length=10_000):
        wait_for_busy(narrow)
        busy = narrow.client.post("/api/identify", files=photographs(1))
        assert busy.status_code == 429
        assert int(busy.headers["retry-after"]) > 0
        assert "ask again" in busy.json()["detail"]


def test_a_client_that_goes_away_frees_its_place(narrow: Running) -> None:
    connection = connected(narrow, length=10_000)
    wait_for_busy(narrow)
    connection.close()
    until = time.monotonic() + 20
    while "naturewatch_places_taken 0.0" not in narrow.client.get("/metrics").text:
        assert time.monotonic() < until
    assert narrow.client.post("/api/identify", files=photographs(1)).status_code == 200


def wait_for_busy(running: Running) -> None:
    until = time.monotonic() + 20
    while "naturewatch_places_taken 1.0" not in running.client.get("/metrics").text:
        assert time.monotonic() < until
