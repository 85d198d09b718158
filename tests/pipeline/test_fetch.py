"""What becomes of each photograph, whatever its host does; and that hosts are asked politely, and only when needed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Settings
from pipeline.errors import NatureWatchError
from pipeline.files import sha256_of
from pipeline.photos import fetch
from pipeline.photos.fetch import fetch_photos
from pipeline.tables import check_table
from tests.pipeline import fetch_world as world
from tests.pipeline import tiny

Make = Callable[..., Settings]
QUICK = {"requests_per_second": 5000.0, "concurrency": 16}


@pytest.fixture
def settings(make_settings: Make) -> Settings:
    """As the sample scope: a fast host."""
    return make_settings(photos=QUICK)


def run(settings: Settings, hosts: Mapping[str, tuple[str, int]]) -> dict[str, tiny.Row]:
    fetch_photos(settings.paths, settings, hosts=hosts, log=lambda _: None)
    assert check_table("photos", settings.paths.table("photos")) == []
    return world.ledger(settings.paths)


def one(settings: Settings, answer: world.Answer) -> tuple[tiny.Row, int]:
    """The ledger's line of one photograph beside a good one, and how often it was asked for."""
    with world.photo_host({"1": answer, "2": world.serve(world.jpeg(2))}) as host:
        world.index(settings.paths, ["1", "2"])
        rows = run(settings, host.hosts)
    assert rows["2"]["status"] == "ok"
    return rows["1"], host.requests["1"]


def test_a_photograph_is_stored_under_its_hash_with_size_licence_and_holder(settings: Settings) -> None:
    content = world.jpeg(1, size=(60, 40))
    row, asked = one(settings, world.serve(content))
    stored = settings.paths.data_root / row["path"]
    assert stored.read_bytes() == content
    assert row["path"] == f"photos/{row['sha256'][:2]}/{row['sha256']}.jpg"
    assert sha256_of(stored) == row["sha256"]
    assert (row["width"], row["height"], row["bytes"], row["http_status"]) == (60, 40, len(content), 200)
    assert (row["licence"], row["rights_holder"], row["creator"]) == ("CC-BY", "A. Holder", "A. Creator")
    assert asked == row["attempts"] == 1


@pytest.mark.parametrize("kind", ["L", "CMYK"])
def test_grey_and_cmyk_photographs_are_photographs(settings: Settings, kind: str) -> None:
    assert one(settings, world.serve(world.jpeg(mode=kind)))[0]["status"] == "ok"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2048, 8)])
def test_odd_sizes_are_photographs(settings: Settings, size: tuple[int, int]) -> None:
    assert one(settings, world.serve(world.jpeg(size=size)))[0]["status"] == "ok"


def test_a_wrong_content_type_does_not_matter(settings: Settings) -> None:
    row, _ = one(settings, world.serve(world.jpeg(), content_type="application/octet-stream"))
    assert row["status"] == "ok"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"<!DOCTYPE html><html>maintenance</html>", "not_jpeg", id="html"),
        pytest.param(world.png(), "not_jpeg", id="png"),
        pytest.param(world.jpeg()[:-2], "corrupt", id="without its end"),
        pytest.param(world.jpeg()[: len(world.jpeg()) // 2], "corrupt", id="cut in half"),
        pytest.param(world.jpeg(progressive=True)[:-40], "corrupt", id="progressive, cut"),
        pytest.param(world.jpeg()[:200], "corrupt", id="header only"),
        pytest.param(b"\xff\xd8\xff", "corrupt", id="three bytes"),
    ],
)
def test_a_bad_body_is_named_and_asked_for_once(settings: Settings, body: bytes, status: str) -> None:
    row, asked = one(settings, world.serve(body))
    assert (row["status"], asked) == (status, 1)
    assert row["error"]
    assert row["path"] is None


def test_an_empty_body_is_no_photograph(settings: Settings) -> None:
    row, _ = one(settings, world.serve(b""))
    assert row["status"] in {"not_jpeg", "corrupt"}


@pytest.mark.parametrize("status", [404, 410])
def test_a_photograph_that_is_gone_is_not_asked_for_twice(settings: Settings, status: int) -> None:
    row, asked = one(settings, world.serve(b"gone", status=status))
    assert (row["status"], row["http_status"], asked) == ("gone", status, 1)


def test_a_host_that_asks_to_wait_is_waited_for(settings: Settings) -> None:
    content = world.jpeg(1)
    with world.photo_host({"1": world.first(429, then=content, headers={"Retry-After": "1"})}) as host:
        world.index(settings.paths, ["1"])
        row = run(settings, host.hosts)["1"]
    before, after = host.times["1"]
    assert row["status"] == "ok"
    assert row["attempts"] == 2
    assert after - before >= 1.0


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_host_in_trouble_is_asked_again(settings: Settings, status: int) -> None:
    row, asked = one(settings, world.first(status, then=world.jpeg(1)))
    assert (row["status"], asked) == ("ok", 2)


def test_a_dropped_connection_is_asked_again(settings: Settings) -> None:
    content = world.jpeg(1, size=(300, 300))
    row, asked = one(settings, world.broken_off(content, times=1))
    assert (row["status"], asked, row["bytes"]) == ("ok", 2, len(content))


def test_an_endless_body_is_cut_off(make_settings: Make) -> None:
    settings = make_settings(photos={**QUICK, "max_bytes": 200_000})
    row, _ = one(settings, world.endless())
    assert row["status"] == "too_large"


def test_a_decompression_bomb_is_recognised_by_its_header(make_settings: Make) -> None:
    settings = make_settings(photos={**QUICK, "max_pixels": 10_000})
    row, _ = one(settings, world.serve(world.jpeg(size=(200, 51))))
    assert row["status"] == "too_large"


def test_a_redirect_on_the_same_host_is_followed(settings: Settings) -> None:
    answers = {"1": world.redirect("/photos/3/large.jpg"), "3": world.serve(world.jpeg(3))}
    with world.photo_host(answers) as host:
        world.index(settings.paths, ["1"])
        assert run(settings, host.hosts)["1"]["status"] == "ok"


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/photos/1/large.jpg",
        "http://127.0.0.1/secret",
        "http://localhost/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "file:///etc/passwd",
        "ftp://example.org/1.jpg",
    ],
)
def test_a_redirect_into_a_private_network_is_blocked(settings: Settings, target: str) -> None:
    row, asked = one(settings, world.redirect(target))
    assert (row["status"], asked) == ("blocked", 1)
    assert row["path"] is None


def test_a_redirect_in_circles_ends(settings: Settings) -> None:
    row, asked = one(settings, world.redirect("/photos/1/large.jpg"))
    assert row["status"] in {"failed", "gone", "blocked"}
    assert asked <= 60


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/photos/1/large.jpg",
        "http://localhost:{port}/photos/1/large.jpg",
        "http://[::1]:{port}/photos/1/large.jpg",
        "http://0.0.0.0:{port}/photos/1/large.jpg",
        "http://0x7f000001:{port}/photos/1/large.jpg",
        "http://0177.0.0.1:{port}/photos/1/large.jpg",
        "http://127.1:{port}/photos/1/large.jpg",
        "http://2130706433:{port}/photos/1/large.jpg",
        "http://[::ffff:7f00:1]:{port}/photos/1/large.jpg",
        "http://user:secret@127.0.0.1:{port}/photos/1/large.jpg",
        "file:///etc/passwd",
        "data:image/jpeg;base64,/9j/",
    ],
)
def test_a_private_address_is_never_reached(settings: Settings, url: str) -> None:
    with world.photo_host({"1": world.serve(world.jpeg(1)), "2": world.serve(world.jpeg(2))}) as host:
        world.index(settings.paths, ["1", "2"], urls={"1": url.format(port=host.port)})
        rows = run(settings, host.hosts)
    assert rows["1"]["status"] == "blocked"
    assert host.requests["1"] == 0
    assert rows["2"]["status"] == "ok"


def test_private_hosts_are_reached_when_the_configuration_says_so(make_settings: Make) -> None:
    settings = make_settings(photos={**QUICK, "allow_private_hosts": True})
    with world.photo_host({"1": world.serve(world.jpeg(1))}) as host:
        world.index(settings.paths, ["1"], urls={"1": f"http://127.0.0.1:{host.port}/photos/1/large.jpg"})
        assert run(settings, {})["1"]["status"] == "ok"


def test_a_second_run_asks_for_nothing_and_writes_the_same_ledger(settings: Settings) -> None:
    answers: dict[str, world.Answer] = {str(n): world.serve(world.jpeg(n)) for n in range(20)}
    answers |= {"20": world.serve(b"<html>"), "21": world.serve(world.jpeg()[:-9]), "22": world.serve(b"", status=404)}
    with world.photo_host(answers) as host:
        world.index(settings.paths, answers)
        before = run(settings, host.hosts)
        asked = host.asked
        summary = fetch_photos(settings.paths, settings, hosts=host.hosts, log=lambda _: None)
        assert host.asked == asked
    assert world.ledger(settings.paths) == before
    assert summary.requests == 0
    assert summary.statuses == {"ok": 20, "not_jpeg": 1, "corrupt": 1, "gone": 1}


def test_what_is_not_ok_leaves_a_line_in_the_rejections(settings: Settings) -> None:
    one(settings, world.serve(b"<html>"))
    (line,) = [row for row in tiny.read(settings.paths.table("rejections")) if row["stage"] == "photos"]
    assert (line["key"], line["rule"]) == ("1", "not_jpeg")
    assert line["detail"]


def test_a_stored_photograph_that_was_deleted_is_fetched_again(settings: Settings) -> None:
    with world.photo_host({"1": world.serve(world.jpeg(1)), "2": world.serve(world.jpeg(2))}) as host:
        world.index(settings.paths, ["1", "2"])
        rows = run(settings, host.hosts)
        (settings.paths.data_root / rows["1"]["path"]).unlink()
        assert run(settings, host.hosts)["1"]["status"] == "ok"
        assert host.requests == {"1": 2, "2": 1}
    assert (settings.paths.data_root / rows["1"]["path"]).exists()


def test_growth_asks_for_the_new_ones_and_removal_forgets_the_old(settings: Settings) -> None:
    with world.photo_host({str(n): world.serve(world.jpeg(n)) for n in range(6)}) as host:
        world.index(settings.paths, ["0", "1", "2", "3"])
        run(settings, host.hosts)
        world.index(settings.paths, ["2", "3", "4", "5"])
        rows = run(settings, host.hosts)
        assert host.asked == 6
    assert list(rows) == ["2", "3", "4", "5"]


def test_another_size_of_a_photograph_is_another_request(settings: Settings) -> None:
    with world.photo_host({"1": world.serve(world.jpeg(1))}) as host:
        world.index(settings.paths, ["1"])
        run(settings, host.hosts)
        world.index(settings.paths, ["1"], urls={"1": f"http://{world.HOST}/photos/1/medium.jpg"})
        run(settings, host.hosts)
        assert host.asked == 2


def test_one_host_has_a_budget_of_requests_and_a_bound_on_simultaneous_ones(make_settings: Make) -> None:
    settings = make_settings(photos={"requests_per_second": 40.0, "concurrency": 3})
    ids = [str(n) for n in range(80)]
    with world.photo_host({name: world.serve(world.jpeg(int(name))) for name in ids}) as host:
        world.index(settings.paths, ids)
        begun = time.monotonic()
        run(settings, host.hosts)
        seconds = time.monotonic() - begun
    assert host.most_running <= 3
    # The bucket may start full: 80 requests need at least the second half of two seconds.
    assert seconds >= 0.9
    (agent,) = host.user_agents
    assert "NatureWatch" in agent
    assert settings.photos.contact in agent


def test_a_half_written_journal_line_is_no_obstacle(settings: Settings) -> None:
    with world.photo_host({"1": world.serve(world.jpeg(1)), "2": world.serve(world.jpeg(2))}) as host:
        world.index(settings.paths, ["1"])
        run(settings, host.hosts)
        with settings.paths.fetch_journal.open("a") as journal:
            journal.write('{"photo_id": "2", "url": "http://pho')
        world.index(settings.paths, ["1", "2"])
        rows = run(settings, host.hosts)
        assert host.asked == 2
    assert {row["status"] for row in rows.values()} == {"ok"}
    for line in settings.paths.fetch_journal.read_text().splitlines():
        json.loads(line)


CHILD = """
import json, sys
from pathlib import Path
from pipeline.config import Settings
from pipeline.photos.fetch import fetch_photos
given = json.loads(sys.argv[1])
settings = Settings(name="test", data_root=Path(given["root"]), photos=given["photos"])
hosts = {name: (place[0], place[1]) for name, place in given["hosts"].items()}
fetch_photos(settings.paths, settings, hosts=hosts, log=print)
"""


def start(settings: Settings, host: world.PhotoHost, repository: Path) -> subprocess.Popen[bytes]:
    given: dict[str, Any] = {"root": str(settings.data_root), "photos": settings.photos.model_dump(mode="json")}
    given["hosts"] = host.hosts
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    return subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(given)], env=environment)


def test_killed_it_goes_on_and_ends_in_the_same_ledger(make_settings: Make, tmp_path: Path, repository: Path) -> None:
    settings = make_settings(photos={"requests_per_second": 100.0, "concurrency": 8})
    ids = [f"{n:03}" for n in range(300)]
    answers = {name: world.serve(world.jpeg(int(name))) for name in ids} | {"007": world.serve(b"<html>")}
    with world.photo_host(answers) as host:
        world.index(settings.paths, ids)
        child = start(settings, host, repository)
        deadline = time.monotonic() + 30
        while host.asked < 120 and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        asked = host.asked
        assert 100 <= asked < 300
        journal = settings.paths.fetch_journal.read_text().count("\n")
        rows = run(make_settings(photos=QUICK), host.hosts)
        # Only the last half second and what was in flight may be asked for twice.
        assert host.asked - asked == 300 - journal
        assert host.asked <= 300 + 70
        other = make_settings(data_root=tmp_path / "other", photos=QUICK)
        world.index(other.paths, ids)
        undisturbed = run(other, host.hosts)
    for row in (*rows.values(), *undisturbed.values()):
        del row["fetched_at"]
    assert rows == undisturbed
    assert not list(settings.paths.photos.rglob("*.partial"))


def test_only_one_fetch_runs_at_a_time(make_settings: Make, repository: Path) -> None:
    settings = make_settings(photos={"requests_per_second": 40.0, "concurrency": 2})
    ids = [str(n) for n in range(100)]
    with world.photo_host({name: world.serve(world.jpeg(int(name))) for name in ids}) as host:
        world.index(settings.paths, ids)
        children = [start(settings, host, repository) for _ in range(2)]
        assert [child.wait(60) for child in children] == [0, 0]
        assert max(host.requests.values()) == 1


@pytest.mark.parametrize(
    "url",
    ["http://a..b/1.jpg", f"http://{'a' * 70}.test/1.jpg", "http://[::1", "http://x.test:99999/1.jpg", "nonsense"],
)
def test_an_address_that_is_none_does_not_stop_the_others(settings: Settings, url: str) -> None:
    with world.photo_host({"2": world.serve(world.jpeg(2))}) as host:
        world.index(settings.paths, ["1", "2"], urls={"1": url})
        rows = run(settings, host.hosts)
    assert rows["1"]["status"] in {"blocked", "failed"}
    assert rows["2"]["status"] == "ok"


@pytest.mark.parametrize("target", ["http://[::1", "http://a..b/", "http://x.test:99999/", "", "//"])
def test_a_redirect_to_nowhere_does_not_stop_the_others(settings: Settings, target: str) -> None:
    row, _ = one(settings, world.redirect(target))
    assert row["status"] in {"blocked", "failed"}


@pytest.mark.parametrize("factors", [0x31, 0x13, 0x44])
def test_an_unusual_subsampling_is_judged_not_a_crash(settings: Settings, factors: int) -> None:
    body = bytearray(world.jpeg(size=(96, 96)))
    frame = body.index(b"\xff\xc0")
    body[frame + 11] = factors
    row, _ = one(settings, world.serve(bytes(body)))
    assert row["status"] in {"ok", "corrupt"}


def test_a_body_that_drips_ends(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WHOLE_SECONDS", 0.5)
    monkeypatch.setattr(fetch, "FIRST_PAUSE", 0.01)
    row, asked = one(settings, world.dripping())
    assert row["status"] == "failed"
    assert asked == fetch.ATTEMPTS


def test_a_stalled_body_is_given_up_and_asked_for_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SILENCE_SECONDS", 0.5)
    row, asked = one(settings, world.stalled(world.jpeg(1), times=1))
    assert (row["status"], asked) == ("ok", 2)


def test_a_full_disk_is_an_error_not_a_fault_of_the_photograph(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.paths.data_root.mkdir(parents=True)
    settings.paths.photos.write_text("a file where the folder should be")
    with world.photo_host({"1": world.serve(world.jpeg(1))}) as host:
        world.index(settings.paths, ["1"])
        with pytest.raises(NatureWatchError, match="photos"):
            fetch_photos(settings.paths, settings, hosts=host.hosts, log=lambda _: None)


def test_parts_left_by_a_kill_are_cleared_away(settings: Settings) -> None:
    left = settings.paths.photos / "aa" / f".{'a' * 64}.1-1.partial"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    one(settings, world.serve(world.jpeg(1)))
    assert not left.exists()


def test_a_stored_photograph_that_was_cut_short_is_fetched_again(settings: Settings) -> None:
    with world.photo_host({"1": world.serve(world.jpeg(1))}) as host:
        world.index(settings.paths, ["1"])
        stored = settings.paths.data_root / run(settings, host.hosts)["1"]["path"]
        stored.write_bytes(b"")
        run(settings, host.hosts)
    assert stored.read_bytes() == world.jpeg(1)


def test_a_failed_photograph_is_asked_for_on_the_next_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    with world.photo_host({"1": world.first(503, then=world.jpeg(1)), "2": world.serve(world.jpeg(2))}) as host:
        world.index(settings.paths, ["1", "2"])
        assert run(settings, host.hosts)["1"]["status"] == "failed"
        assert run(settings, host.hosts)["1"]["status"] == "ok"
        assert host.requests == {"1": 2, "2": 1}
