"""Fetching photographs from a host with every bad habit: what is asked, what is kept, and what is written about it."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.fetching.fetch import FetchSummary, fetch_photos
from pipeline.fetching.hosts import Host, Patience
from pipeline.photos.ledger import received_lately
from pipeline.table_checks import check_table
from tests.pipeline import photo_index, tiny
from tests.pipeline.fetching.test_addresses import MALFORMED
from tests.pipeline.photo_index import ledger
from tests.pipeline.photo_server import BEGINNING, HOST, PhotoServer, jpeg, photo_server

CALM = Patience(first_wait=0.05, longest_wait=0.1)
"""A busy machine may be slow to answer; only tests of slowness are impatient."""
QUICK = Patience(connect=5, silence=2, whole=20, attempts=3, first_wait=0.05, longest_wait=0.1, give_up=0.3)


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


@pytest.fixture
def fast(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(photos={"concurrency": 8, "requests_per_second": 5000, "max_bytes": 1_000_000})


def write_index(settings: Settings, *photo_ids: str, **urls: str) -> None:
    """A photo index of the server's photographs, and of others at the given addresses."""
    photo_index.write_index(settings, {photo_id: PhotoServer.url(photo_id) for photo_id in photo_ids} | urls)


def fetch(settings: Settings, server: PhotoServer, *, patience: Patience = CALM) -> FetchSummary:
    """Fetch, with the ledger's contract checked."""
    summary = fetch_photos(settings.paths, settings, hosts=server.hosts, log=lambda _: None, patience=patience)
    assert check_table("photos", settings.paths.table("photos")) == []
    return summary


def test_a_photograph_lies_under_its_hash_and_has_a_row(settings: Settings, server: PhotoServer) -> None:
    write_index(settings, "ok-1")
    summary = fetch(settings, server)
    row = ledger(settings)["ok-1"]
    content = jpeg(1)
    sha256 = hashlib.sha256(content).hexdigest()
    assert (settings.paths.data_root / row["path"]).read_bytes() == content
    assert row["path"] == f"photos/{sha256[:2]}/{sha256}.jpg"
    assert (row["sha256"], row["bytes"], row["width"], row["height"]) == (sha256, len(content), 64, 48)
    assert (row["status"], row["http_status"], row["attempts"], row["error"]) == ("ok", 200, 1, None)
    assert (row["licence"], row["rights_holder"], row["creator"]) == ("CC-BY", "A. Holder", "A. Creator")
    assert summary.statuses == {"ok": 1}
    assert (summary.requests, summary.bytes) == (1, len(content))


def test_the_fetcher_says_who_it_is(make_settings: Callable[..., Settings], server: PhotoServer) -> None:
    settings = make_settings(photos={"contact": "mailto:someone@example.org"})
    write_index(settings, "ok-1")
    fetch(settings, server)
    assert server.headers["User-Agent"].startswith("NatureWatch/")
    assert "mailto:someone@example.org" in server.headers["User-Agent"]
    assert server.headers["Accept-Encoding"] == "identity"


class Answers(NamedTuple):
    """What one fetch of a photograph with each odd answer, among good ones, came to."""

    ledger: dict[str, dict[str, Any]]
    requests: Counter[str]
    rejections: dict[str, dict[str, Any]]


FINAL = {
    "gone": ("gone", 404, "404"),
    "forbidden": ("gone", 403, "403"),
    "unauthorised": ("gone", 401, "401"),
    "teapot": ("failed", 418, "418"),
    "html": ("not_jpeg", 200, "HTML"),
    "png": ("not_jpeg", 200, "PNG"),
    "empty": ("not_jpeg", 200, "empty"),
    "truncated": ("corrupt", 200, "Premature end"),
    "wide": ("too_large", 200, "2000 x 600"),
    "endless": ("too_large", 200, "max_bytes"),
    "bomb": ("too_large", 200, "unfolds to more than max_bytes"),
    "brotli": ("failed", 200, "encoded as 'br'"),
    "private": ("blocked", None, "10.0.0.1"),
    "decimal": ("blocked", None, "127.0.0.1"),
    "file": ("blocked", None, "neither http nor https"),
    "astray": ("blocked", None, "cannot exist"),
    "scrambled": ("blocked", None, "not an address"),
    "nowhere": ("failed", 302, "302"),
    "loop": ("failed", None, "redirects"),
    "babble": ("gone", 404, "404"),
}
"""What is asked for once, by habit: status, HTTP status, and what the error says."""
AGAIN_ONCE = {"unsizedcut": ("corrupt", 200, "Premature end")}
"""What is asked for once more before it is believed."""
GOOD = ("ok", "header", "gzip", "deflate", "rawdeflate", "twice", "claimed", "moved")
"""Whole photographs, however they come."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    photos = {"max_bytes": 2_000_000, "max_pixels": 1_000_000, "requests_per_second": 5000}
    settings = Settings(name="test", data_root=tmp_path_factory.mktemp("answers"), photos=photos)
    with photo_server() as server:
        names = [*FINAL, *AGAIN_ONCE, *GOOD, "unsized", "gzipcut"]
        write_index(settings, *(f"{habit}-1" for habit in names), zzz=PhotoServer.url("ok-2"))
        fetch(settings, server)
        rejections = {row["key"]: row for row in tiny.read(settings.paths.rejections_of("photos"))}
        return Answers(ledger(settings), server.requests, rejections)


@pytest.mark.parametrize("habit", [*FINAL, *AGAIN_ONCE])
def test_a_final_answer_is_believed_and_stops_no_other(answers: Answers, habit: str) -> None:
    status, http_status, error = {**FINAL, **AGAIN_ONCE}[habit]
    requests = 1 if habit in FINAL else 2
    row = answers.ledger[f"{habit}-1"]
    assert (row["status"], row["http_status"], row["path"], row["attempts"]) == (status, http_status, None, requests)
    assert error in row["error"]
    assert answers.requests[f"{habit}-1"] == (6 if habit == "loop" else requests)
    line = answers.rejections[f"{habit}-1"]
    assert line == {"stage": "photos", "key": f"{habit}-1", "rule": status, "detail": row["error"]}


@pytest.mark.parametrize("habit", GOOD)
def test_a_whole_photograph_is_taken_however_it_comes(answers: Answers, habit: str) -> None:
    row = answers.ledger[f"{habit}-1"]
    assert (row["status"], row["attempts"], row["sha256"]) == ("ok", 1, hashlib.sha256(jpeg(1)).hexdigest())


def test_a_body_that_was_cut_where_nothing_tells_its_end_is_asked_for_again(answers: Answers) -> None:
    row = answers.ledger["unsized-1"]
    assert (row["status"], row["attempts"]) == ("ok", 2)


def test_an_encoding_that_was_cut_passes_and_is_no_verdict(answers: Answers) -> None:
    row = answers.ledger["gzipcut-1"]
    assert (row["status"], row["attempts"]) == ("failed", CALM.attempts)
    assert "ends too early" in row["error"]


@pytest.mark.parametrize("habit", ["unavailable", "limited", "stall"])
def test_a_passing_trouble_is_tried_again(fast: Settings, server: PhotoServer, habit: str) -> None:
    write_index(fast, f"{habit}-1")
    fetch(fast, server, patience=QUICK)
    row = ledger(fast)[f"{habit}-1"]
    assert (row["status"], row["attempts"]) == ("ok", 2)
    if habit == "limited":
        first, second = (moment for _, moment in server.times)
        assert second - first >= 1, "Retry-After: 1"


def test_bytes_of_a_body_that_broke_off_count_in_later_budgets(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "stall-1")
    fetch(fast, server, patience=QUICK)
    ((_, received),) = received_lately(fast.paths)[HOST]
    assert received == BEGINNING + len(jpeg(1))


async def test_a_stalled_photograph_does_not_slow_down_a_host_that_answers_others() -> None:
    host = Host("photos.test", concurrency=16, rate=1000, patience=QUICK)
    begun = time.monotonic()
    host.answered()
    host.slow_down(started=begun, pause=None, answered=False)
    assert host.limit == 8
    host.slow_down(started=time.monotonic(), pause=None, answered=False)
    assert host.limit == 4, "it has answered nothing since"


async def test_complaints_of_requests_that_ran_together_count_once() -> None:
    host = Host("photos.test", concurrency=16, rate=1000, patience=QUICK)
    begun = time.monotonic()
    for _ in range(5):
        host.slow_down(started=begun, pause=None, answered=True)
    assert host.limit == 4


@pytest.mark.parametrize("habit", ["down", "reset"])
def test_a_lasting_trouble_ends_and_is_asked_for_by_the_next_run(
    fast: Settings, server: PhotoServer, habit: str
) -> None:
    write_index(fast, f"{habit}-1")
    assert fetch(fast, server, patience=QUICK).statuses == {"failed": 1}
    assert server.requests[f"{habit}-1"] == QUICK.attempts
    assert ledger(fast)[f"{habit}-1"]["attempts"] == QUICK.attempts
    server.mended = True
    again = fetch(fast, server, patience=QUICK)
    assert again.requests >= 1
    assert again.statuses == ({"ok": 1} if habit == "down" else {"failed": 1})


def test_a_host_that_only_complains_is_left_alone(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, *(f"down-{number}" for number in range(300)), "ok-1")
    summary = fetch(fast, server, patience=QUICK)
    assert summary.statuses["failed"] >= 299
    assert summary.requests < 300 * QUICK.attempts
    errors = [row["error"] for row in ledger(fast).values() if row["status"] == "failed"]
    assert any("nothing but complaints" in error for error in errors)


def test_a_host_that_asks_for_a_long_pause_is_left_alone(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, *(f"closed-{number}" for number in range(100)))
    summary = fetch(fast, server, patience=QUICK)
    assert summary.statuses == {"failed": 100}
    assert summary.requests <= fast.photos.concurrency
    assert all("86400 s" in row["error"] for row in ledger(fast).values())


def test_a_redirect_is_followed(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "moved-4")
    assert fetch(fast, server).requests == 2
    assert ledger(fast)["moved-4"]["sha256"] == hashlib.sha256(jpeg(4)).hexdigest()


def test_the_other_address_of_a_photograph_is_asked_for_before_it_is_given_up(
    fast: Settings, server: PhotoServer
) -> None:
    good = {photo_id: PhotoServer.url(f"ok-{photo_id}") for photo_id in ("1", "2", "3", "4", "5")}
    bad = {
        "1": good["1"].replace("http:", "https:"),  # the server speaks no TLS
        "2": PhotoServer.url("gone-2"),
        "3": PhotoServer.url("forbidden-3"),
        "4": PhotoServer.url("html-4"),
        "5": "http://away..test/a.jpg",
        "6": PhotoServer.url("gone-6"),
    }
    photo_index.write_index(fast, bad, others={**good, "6": PhotoServer.url("gone-7")})
    summary = fetch(fast, server)
    assert summary.statuses == {"ok": 5, "gone": 1}
    rows = ledger(fast)
    assert {photo_id: row["url"] for photo_id, row in rows.items()} == bad, "it keeps its name"
    assert rows["1"]["attempts"] == CALM.attempts + 1
    assert rows["6"]["attempts"] == 2
    assert fetch(fast, server).requests == 0, "it is known under its name"


def test_addresses_into_the_own_network_are_never_connected_to(fast: Settings, server: PhotoServer) -> None:
    port = server.port
    write_index(
        fast,
        a=f"http://127.0.0.1:{port}/photos/ok-1/large.jpg",
        b=f"http://localhost:{port}/photos/ok-1/large.jpg",
        c=f"http://[::ffff:127.0.0.1]:{port}/photos/ok-1/large.jpg",
        d=f"http://2130706433:{port}/photos/ok-1/large.jpg",
        e=f"http://0x7f000001:{port}/photos/ok-1/large.jpg",
        f=f"http://user:secret@photos.test:{port}/photos/ok-1/large.jpg",
        g="http://169.254.169.254/latest/meta-data/",
    )
    assert fetch(fast, server).statuses == {"blocked": 7}
    assert server.requests.total() == 0
    assert "secret" not in json.dumps([row["error"] for row in ledger(fast).values()])


def test_addresses_that_nobody_can_ask_for_stop_no_other(fast: Settings, server: PhotoServer) -> None:
    malformed = {f"m{number:02}": address for number, address in enumerate(MALFORMED)}
    write_index(fast, "ok-1", "ok-2", **malformed)
    summary = fetch(fast, server)
    assert summary.statuses == {"ok": 2, "blocked": len(malformed)}
    assert server.requests.total() == 2
    summary.require_complete(most_failed=0)


def test_private_hosts_can_be_allowed(make_settings: Callable[..., Settings], server: PhotoServer) -> None:
    closed = make_settings()
    write_index(closed, a=f"http://localhost:{server.port}/photos/ok-1/large.jpg")
    assert fetch(closed, server).statuses == {"blocked": 1}
    # The verdict was about the old rules: it does not stand for thirty days.
    allowed = make_settings(photos={"allow_private_hosts": True})
    assert fetch(allowed, server).statuses == {"ok": 1}


def test_a_second_run_asks_for_nothing_and_changes_nothing(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "ok-1", "ok-2", "gone-3", "html-4", "truncated-5", "private-6")
    first = fetch(fast, server)
    before = fast.paths.table("photos").read_bytes()
    again = fetch(fast, server)
    assert (again.requests, again.bytes) == (0, 0)
    assert again.statuses == first.statuses
    assert fast.paths.table("photos").read_bytes() == before


def test_only_what_is_new_or_lost_is_asked_for(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "ok-1", "ok-2", "ok-3")
    fetch(fast, server)
    rows = ledger(fast)
    (fast.paths.data_root / rows["ok-1"]["path"]).unlink()
    (fast.paths.data_root / rows["ok-2"]["path"]).write_bytes(b"\xff\xd8 cut by a full disk")
    write_index(fast, "ok-1", "ok-2", "ok-3", "ok-4")
    server.requests.clear()
    assert fetch(fast, server).statuses == {"ok": 4}
    assert dict(server.requests) == {"ok-1": 1, "ok-2": 1, "ok-4": 1}
    assert (fast.paths.data_root / rows["ok-2"]["path"]).read_bytes() == jpeg(2)


def test_a_photograph_of_another_size_is_another_photograph(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "ok-1")
    fetch(fast, server)
    write_index(fast, **{"ok-1": PhotoServer.url("ok-1").replace("large", "original")})
    assert fetch(fast, server).requests == 1
    assert ledger(fast)["ok-1"]["url"].endswith("original.jpg")


def test_photographs_that_left_the_index_leave_the_ledger(fast: Settings, server: PhotoServer) -> None:
    write_index(fast, "ok-1", "ok-2")
    fetch(fast, server)
    write_index(fast, "ok-2")
    assert fetch(fast, server).statuses == {"ok": 1}
    assert list(ledger(fast)) == ["ok-2"]


def test_an_empty_index_gives_an_empty_ledger(fast: Settings, server: PhotoServer) -> None:
    write_index(fast)
    assert fetch(fast, server).statuses == {}
    assert ledger(fast) == {}


def test_a_missing_index_is_named(fast: Settings, server: PhotoServer) -> None:
    with pytest.raises(TableError, match="photo_index"):
        fetch(fast, server)
