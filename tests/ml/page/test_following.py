"""Which version answers: the one that the alias names, without a restart."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from ml.serving.classifier import Classifier
from tests.ml.page.page_server import Running, released, serving
from tests.ml.specificity_fixtures import Copied, photograph_bytes

PHOTO = [("images", ("a.jpg", photograph_bytes()))]


class Slow(NamedTuple):
    """A network that waits."""

    begun: threading.Event
    go_on: threading.Event


@pytest.fixture
def copied(tmp_path: Path) -> Copied:
    copy = Copied(tmp_path / "store")
    copy.client.set_registered_model_alias("tiny", "champion", "1")
    return copy


@pytest.fixture
def following(copied: Copied) -> Iterator[Running]:
    with serving(released(tracking_uri=copied.uri, alias="champion", poll_seconds=0.05)) as running:
        yield running


def health(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = running.client.get("/health").json()
    return found


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def second(copied: Copied, *, source: str) -> None:
    """A second version, under the alias."""
    version = copied.client.create_model_version("tiny", source=source)
    copied.client.set_registered_model_alias("tiny", "champion", version.version)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    """The network takes as long as a test wants."""
    look, slow = Classifier.look, Slow(threading.Event(), threading.Event())

    def slowly(self: Classifier, photographs: Any) -> Any:  # noqa: ANN401 (as it is)
        slow.begun.set()
        assert slow.go_on.wait(60)
        return look(self, photographs)

    monkeypatch.setattr(Classifier, "look", slowly)
    return slow


def test_a_client_that_goes_away_while_it_is_answered_frees_its_place(page: Running, slow: Slow) -> None:
    request = page.client.build_request("POST", "/api/identify", files=PHOTO)
    parts = urlsplit(page.address)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        head = "\r\n".join(["POST /api/identify HTTP/1.1", *lines, "", ""])
        connection.sendall(head.encode() + request.read())
        assert slow.begun.wait(60)
        assert "naturewatch_places_taken 1.0" in page.client.get("/metrics").text
    until(lambda: "naturewatch_places_taken 0.0" in page.client.get("/metrics").text)
    slow.go_on.set()
    assert page.client.post("/api/identify", files=PHOTO).status_code == 200


def test_a_new_champion_answers_and_what_has_begun_ends_with_the_old_one(
    following: Running, copied: Copied, slow: Slow
) -> None:
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(following.client.post, "/api/identify", files=PHOTO)
        assert slow.begun.wait(60)
        second(copied, source=str(copied.model / "artifacts"))
        until(lambda: health(following)["model"]["version"] == "2")
        slow.go_on.set()
        assert asked.result().json()["model"]["version"] == "1"
        assert asked.result().json()["answers"][0]["model"]["version"] == "1"
    assert following.client.post("/api/identify", files=PHOTO).json()["model"]["version"] == "2"
    assert following.client.get("/api/model").json()["version"] == "2"


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_answering(
    following: Running, copied: Copied, caplog: pytest.LogCaptureFixture
) -> None:
    second(copied, source=str(copied.model / "nowhere"))
    until(lambda: health(following)["problem"] is not None)
    told = following.client.get("/health")
    assert told.status_code == 200
    assert told.json()["model"]["version"] == "1"
    assert "version 2 of 'tiny' is incomplete" in told.json()["problem"]
    assert following.client.post("/api/identify", files=PHOTO).json()["model"]["version"] == "1"
    assert [record.levelname for record in caplog.records if "version 2 of 'tiny'" in record.message] == ["WARNING"]
    copied.client.set_registered_model_alias("tiny", "champion", "1")
    until(lambda: health(following)["problem"] is None)


def test_a_registry_that_is_gone_leaves_the_version_answering(following: Running, copied: Copied) -> None:
    database = Path(copied.uri.removeprefix("sqlite:///"))
    aside = database.rename(database.with_name("aside"))
    until(lambda: health(following)["problem"] is not None)
    assert "there is no registry" in health(following)["problem"]
    assert following.client.post("/api/identify", files=PHOTO).status_code == 200
    aside.rename(database)
    until(lambda: health(following)["problem"] is None)
