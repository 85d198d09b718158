"""Which photographs are asked for, and the ledger that their attempts come to."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.config.settings import PhotoSettings, Settings
from pipeline.errors import StorageError
from pipeline.photos import ledger as ledger_module
from pipeline.photos.bodies import path_of, store
from pipeline.photos.journal import AGAIN, Attempt, open_journal, seal
from pipeline.photos.ledger import (
    SAMPLES,
    Authority,
    disk_errors_named,
    fold,
    limits_of,
    pending,
    photos_of,
    plan,
    received_lately,
)
from pipeline.table_checks import check_table
from tests.pipeline import tiny
from tests.pipeline.photo_index import ledger, write_index

LIMITS = limits_of(PhotoSettings(), ())
DAYS = PhotoSettings().ask_again_days
BODY = b"a photograph"
SHA256 = hashlib.sha256(BODY).hexdigest()
OLD = "https://static.inaturalist.org/photos/7/large.jpg"
OPEN = "https://inaturalist-open-data.s3.amazonaws.com/photos/7/large.jpeg"


def index(settings: Settings, *photo_ids: str, **urls: str) -> None:
    write_index(settings, {photo_id: f"http://photos.test/{photo_id}.jpg" for photo_id in photo_ids} | urls)


def attempted(settings: Settings, *attempts: Attempt) -> None:
    """One run that made these attempts."""
    with open_journal(settings.paths) as journal:
        for attempt in attempts:
            journal.append(attempt)
    seal(settings.paths)


def end(photo_id: str, status: str = "ok", *, days: float = 0, **changes: Any) -> Attempt:  # noqa: ANN401
    """An attempt that ended some days ago."""
    moment = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=days)
    body = {"sha256": SHA256, "bytes": len(BODY), "width": 4, "height": 3} if status == "ok" else {}
    values = {
        "url": f"http://photos.test/{photo_id}.jpg",
        "attempt": 1,
        "limits": LIMITS,
        "fetched_at": moment.isoformat(timespec="microseconds"),
        **body,
        **changes,
    }
    return Attempt(photo_id=photo_id, status=status, **values)


def wanted(settings: Settings, *, limits: str = LIMITS, photos: PhotoSettings | None = None) -> list[str]:
    seal(settings.paths)
    table = pending(
        settings.paths,
        ask_again_days=(photos or settings.photos).ask_again_days,
        limits=limits,
        output=settings.data_root / "pending.parquet",
    )
    return [row["photo_id"] for row in tiny.read(table)]


def test_without_attempts_everything_is_wanted(settings: Settings) -> None:
    index(settings, "b", "a")
    assert wanted(settings) == ["a", "b"]


def test_photographs_of_one_host_are_together(settings: Settings) -> None:
    index(settings, a="http://two.test/a.jpg", b="http://ONE.test:81/b.jpg", c="http://two.test/c.jpg")
    assert wanted(settings) == ["b", "a", "c"]
    rows = tiny.read(settings.data_root / "pending.parquet")
    assert [row["authority"] for row in rows] == ["one.test:81", "two.test", "two.test"]


PERMANENT = ("gone", "not_jpeg", "corrupt", "too_large", "blocked")


@pytest.mark.parametrize("status", PERMANENT)
def test_a_permanent_failure_stands_for_the_configured_days(settings: Settings, status: str) -> None:
    index(settings, "old", "recent")
    attempted(settings, end("old", status, days=DAYS + 1), end("recent", status, days=DAYS - 1))
    assert wanted(settings) == ["old"]
    assert wanted(settings, photos=PhotoSettings(ask_again_days=DAYS - 2)) == ["old", "recent"]
    assert wanted(settings, photos=PhotoSettings(ask_again_days=DAYS + 2)) == []


def test_a_passing_failure_is_wanted_again(settings: Settings) -> None:
    index(settings, "a")
    attempted(settings, end("a", "failed"))
    assert wanted(settings) == ["a"]


def test_an_attempt_that_a_killed_run_meant_to_repeat_is_wanted_again(settings: Settings) -> None:
    index(settings, "a")
    attempted(settings, end("a", AGAIN, http_status=503, error="503"))
    assert wanted(settings) == ["a"]


@pytest.mark.parametrize("status", PERMANENT)
def test_other_limits_void_the_verdicts_that_depend_upon_them(settings: Settings, status: str) -> None:
    index(settings, "a")
    attempted(settings, end("a", status))
    other = limits_of(PhotoSettings(max_bytes=1), ())
    assert wanted(settings, limits=other) == (["a"] if status in {"too_large", "blocked"} else [])


def test_a_photograph_whose_file_is_there_is_not_wanted(settings: Settings) -> None:
    index(settings, "a")
    attempted(settings, end("a", days=1000))
    assert wanted(settings) == ["a"], "its file is missing"
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    assert wanted(settings) == [], "however old"
    path_of(settings.paths.photos, SHA256).write_bytes(BODY[:3])
    assert wanted(settings) == ["a"], "its file is cut"


def test_a_photograph_that_moved_to_the_other_host_is_known_again(settings: Settings) -> None:
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    index(settings, **{"7": OPEN})
    attempted(settings, end("7", url=OLD))
    assert wanted(settings) == []
    assert fold(settings.paths) == {"ok": 1}
    row = ledger(settings)["7"]
    assert (row["url"], row["sha256"], row["attempts"]) == (OPEN, SHA256, 1)


@pytest.mark.parametrize("status", PERMANENT)
def test_a_failure_counts_for_the_host_that_failed(settings: Settings, status: str) -> None:
    index(settings, **{"7": OPEN})
    attempted(settings, end("7", status, url=OLD))
    assert wanted(settings) == ["7"]
    index(settings, **{"7": OLD})
    assert wanted(settings) == []


@pytest.mark.parametrize("size", ["original", "medium"])
def test_another_size_is_another_photograph(settings: Settings, size: str) -> None:
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    other = OPEN.replace("large", size)
    index(settings, **{"7": other})
    attempted(settings, end("7", url=OPEN))
    assert wanted(settings) == ["7"]
    attempted(settings, end("7", "gone", url=other, error="404"))
    assert fold(settings.paths) == {"gone": 1}
    assert ledger(settings)["7"]["attempts"] == 1, "the other size was asked for once"
    index(settings, **{"7": OPEN})
    assert wanted(settings) == [], "the first one is still there"
    assert fold(settings.paths) == {"ok": 1}


def test_sizes_of_other_hosts_are_only_addresses(settings: Settings) -> None:
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    index(settings, a="http://one.test/photos/7/large.jpg")
    attempted(settings, end("a", url="http://two.test/photos/7/large.jpg"))
    assert wanted(settings) == ["a"]


def test_the_last_attempt_counts(settings: Settings) -> None:
    index(settings, "a", "b")
    attempted(settings, end("a", "failed"), end("b", "ok"))
    # The clock was put back meanwhile: the order of writing counts, not the time.
    attempted(settings, end("a", "ok", days=5), end("b", "gone", days=5, error="404"))
    assert fold(settings.paths) == {"gone": 1, "ok": 1}
    rows = [(row["photo_id"], row["status"], row["sha256"], row["path"]) for row in ledger(settings).values()]
    assert rows == [
        ("a", "ok", SHA256, f"photos/{SHA256[:2]}/{SHA256}.jpg"),
        ("b", "gone", None, None),
    ]
    assert check_table("photos", settings.paths.table("photos")) == []
    (line,) = tiny.read(settings.paths.rejections_of("photos"))
    assert line == {"stage": "photos", "key": "b", "rule": "gone", "detail": "404"}


def test_attempts_are_counted_over_all_runs(settings: Settings) -> None:
    index(settings, "a", "b")
    attempted(settings, end("a", AGAIN), end("a", AGAIN, attempt=2))
    attempted(settings, end("a", "failed"), end("b", "failed", attempt=0, error="not asked"))
    attempted(settings, end("a"))
    fold(settings.paths)
    assert {name: row["attempts"] for name, row in ledger(settings).items()} == {"a": 4, "b": 0}


def test_bytes_of_the_last_day_are_told_by_host(settings: Settings) -> None:
    attempted(
        settings,
        end("a", url="http://ONE.test/a.jpg", bytes=100),
        end("b", "corrupt", url="http://one.test/b.jpg", bytes=20),
        end("c", url="http://two.test:81/c.jpg", bytes=3, days=0.5),
        end("d", "gone", url="http://two.test:81/d.jpg"),
        end("e", url="http://two.test:81/e.jpg", bytes=1, days=1.01),
    )
    latest = dt.datetime.now(tz=dt.UTC).timestamp()
    received = received_lately(settings.paths)
    assert {host: sum(count for _, count in bodies) for host, bodies in received.items()} == {
        "one.test": 120,
        "two.test:81": 3,
    }
    ((moment, _),) = received["two.test:81"]
    assert moment == pytest.approx(latest - 43_200, abs=60)


def test_the_bytes_of_a_minute_count_from_its_last_body_on(settings: Settings) -> None:
    now = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None, microsecond=0)
    begin = (now - dt.timedelta(minutes=5)).replace(second=0)
    moments = [(begin + dt.timedelta(seconds=second)).isoformat(timespec="microseconds") for second in (1, 58)]
    attempted(settings, *(end(moment, fetched_at=moment) for moment in moments))
    ((moment, count),) = received_lately(settings.paths)["photos.test"]
    assert moment == begin.replace(tzinfo=dt.UTC).timestamp() + 58
    assert count == 2 * len(BODY)


def test_order_and_outcome_of_many_photographs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:02d}" for number in range(25)]
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    index(settings, *names)
    attempted(settings, *(end(name, "failed") for name in reversed(names[:20])), end("left the index"))
    attempted(settings, *(end(name) for name in names[5:15]))

    def outcome() -> tuple[list[str], dict[str, int], bytes]:
        return wanted(settings), fold(settings.paths), settings.paths.rejections_of("photos").read_bytes()

    whole, rows = outcome(), ledger(settings)
    never_asked, failed_before = names[20:], [*names[:5], *names[15:20]]
    assert whole[:2] == ([*never_asked, *failed_before], {"ok": 10, "failed": 10, None: 5})
    assert list(rows) == names, "in order"
    for size in (1, 7):
        # However small the slices that the bodies on disk and the pending photographs are read in.
        monkeypatch.setattr(ledger_module, "SLICE", size)
        assert outcome() == whole
        assert ledger(settings) == rows
        found = photos_of(settings.data_root / "pending.parquet", authority="photos.test")
        assert [row["photo_id"] for row in found] == whole[0]


def test_attempts_of_an_older_version_are_read(settings: Settings) -> None:
    index(settings, "a", "b", "c")
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    attempted(settings, end("a"), end("b", "failed"))
    for file in settings.paths.attempts.iterdir():
        pq.write_table(pq.read_table(file).drop_columns(["host"]), file)
    attempted(settings, end("c", host="other.test"))
    assert wanted(settings) == ["b"]
    assert fold(settings.paths) == {"ok": 2, "failed": 1}
    received = received_lately(settings.paths)
    assert {host: sum(size for _, size in bodies) for host, bodies in received.items()} == {
        "photos.test": len(BODY),
        "other.test": len(BODY),
    }


def test_a_plan_names_the_last_photographs_that_each_host_gave(settings: Settings) -> None:
    names = [f"{number:02}" for number in range(SAMPLES + 2)]
    index(settings, "new", *names)
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    attempted(settings, *(end(name) for name in reversed(names)), end("x", "gone"))
    todo = plan(settings.paths, ask_again_days=DAYS, limits=LIMITS, output=settings.data_root / "pending.parquet")
    (authority,) = todo.authorities
    assert authority.samples == tuple(f"http://photos.test/{name}.jpg" for name in names[:SAMPLES])


def test_a_plan_removes_what_a_killed_run_left_half_written(settings: Settings) -> None:
    paths = settings.paths
    index(settings, "a")
    store(paths.photos, sha256=SHA256, content=BODY)
    stray = paths.photos / "README"
    stray.write_text("no folder of photographs")
    half_written = Path(f"{path_of(paths.photos, SHA256)}.123.partial")
    half_written.write_bytes(b"half")
    todo = plan(paths, ask_again_days=DAYS, limits=LIMITS, output=settings.data_root / "pending.parquet")
    assert todo.authorities == [Authority(name="photos.test", photos=1)]
    assert not half_written.exists()
    assert stray.exists()


def test_a_disk_without_room_for_the_ledger_is_told_in_a_sentence() -> None:
    with pytest.raises(StorageError, match=r"cannot be written \(IO Error: .*\); make room"), disk_errors_named():
        duckdb.sql("copy (select 1) to '/dev/full/no_folder/x.parquet'")
