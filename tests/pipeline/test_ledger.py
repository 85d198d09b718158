"""Which photographs are asked for, and the ledger that their attempts come to."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import PhotoSettings, Settings
from pipeline.photos.bodies import path_of, store
from pipeline.photos.journal import AGAIN, Attempt, open_journal
from pipeline.photos.ledger import fold, limits_of, list_stored, pending, received_lately
from pipeline.tables import CONTRACTS, check_table

LIMITS = limits_of(PhotoSettings(), ())
BODY = b"a photograph"
SHA256 = hashlib.sha256(BODY).hexdigest()
DAYS = PhotoSettings().ask_again_days


def write_index(settings: Settings, *photo_ids: str, **urls: str) -> None:
    addresses = {name: f"u{name}" for name in photo_ids} | urls
    rows = [
        {"photo_id": name, "occurrence_key": "k", "observation_id": "o", "url": url} for name, url in addresses.items()
    ]
    settings.paths.tables.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=CONTRACTS["photo_index"].schema)
    pq.write_table(table, settings.paths.table("photo_index"))


def record(settings: Settings, *attempts: Attempt) -> None:
    """One run that made these attempts."""
    with open_journal(settings.paths) as journal:
        for one in attempts:
            journal.append(one)


def attempt(photo_id: str, status: str = "ok", *, days: float = 0, **changes: Any) -> Attempt:  # noqa: ANN401
    """An attempt some days ago."""
    moment = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=days)
    body = {"sha256": SHA256, "bytes": len(BODY), "width": 4, "height": 3} if status == "ok" else {}
    values = {
        "url": f"u{photo_id}",
        "limits": LIMITS,
        "attempt": 1,
        "fetched_at": moment.isoformat(timespec="microseconds"),
        **body,
        **changes,
    }
    return Attempt(photo_id=photo_id, status=status, **values)


def wanted(settings: Settings, *, limits: str = LIMITS) -> list[str]:
    settings.paths.data_root.mkdir(parents=True, exist_ok=True)
    record(settings)
    output = settings.paths.data_root / "pending.parquet"
    table = pending(settings.paths, photos=settings.photos, limits=limits, output=output)
    return sorted(pq.read_table(table).column("photo_id").to_pylist())


def test_without_a_journal_everything_is_wanted(settings: Settings) -> None:
    write_index(settings, "b", "a")
    assert wanted(settings) == ["a", "b"]


PERMANENT = ("gone", "not_jpeg", "corrupt", "too_large", "blocked")


@pytest.mark.parametrize("status", PERMANENT)
def test_a_permanent_failure_stands_for_a_stated_time(settings: Settings, status: str) -> None:
    write_index(settings, "old", "recent")
    days = DAYS
    record(settings, attempt("old", status, days=days + 1), attempt("recent", status, days=days - 1))
    assert wanted(settings) == ["old"]


def test_a_passing_failure_is_wanted_again(settings: Settings) -> None:
    write_index(settings, "a")
    record(settings, attempt("a", "failed"))
    assert wanted(settings) == ["a"]


@pytest.mark.parametrize("status", PERMANENT)
def test_other_limits_void_the_verdicts_that_depend_upon_them(settings: Settings, status: str) -> None:
    write_index(settings, "a")
    record(settings, attempt("a", status))
    other = limits_of(PhotoSettings(max_bytes=1), ())
    assert wanted(settings, limits=other) == (["a"] if status in {"too_large", "blocked"} else [])


def test_a_photograph_whose_file_is_there_is_not_wanted(settings: Settings) -> None:
    write_index(settings, "a")
    record(settings, attempt("a"))
    assert wanted(settings) == ["a"], "its file is missing"
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    assert wanted(settings) == []
    path_of(settings.paths.photos, SHA256).write_bytes(BODY[:3])
    assert wanted(settings) == ["a"], "its file is cut"


def test_an_old_photograph_is_never_asked_for_again(settings: Settings) -> None:
    write_index(settings, "a")
    record(settings, attempt("a", days=1000))
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    assert wanted(settings) == []


def test_the_last_line_counts(settings: Settings) -> None:
    write_index(settings, "a", "b")
    record(settings, attempt("a", "failed"), attempt("b", "ok"), attempt("a", "ok"), attempt("b", "gone", error="404"))
    assert fold(settings.paths) == {"gone": 1, "ok": 1}
    rows = pq.read_table(settings.paths.table("photos")).to_pylist()
    assert [(row["photo_id"], row["status"], row["sha256"], row["path"]) for row in rows] == [
        ("a", "ok", SHA256, f"photos/{SHA256[:2]}/{SHA256}.jpg"),
        ("b", "gone", None, None),
    ]
    assert check_table("photos", settings.paths.table("photos")) == []
    (line,) = pq.read_table(settings.paths.rejections_of("photos")).to_pylist()
    assert line == {"stage": "photos", "key": "b", "rule": "gone", "detail": "404"}


def test_how_long_a_permanent_failure_stands_is_configured(make_settings: Any) -> None:  # noqa: ANN401
    settings = make_settings(photos={"ask_again_days": 2})
    write_index(settings, "a", "b")
    record(settings, attempt("a", "gone", days=1), attempt("b", "gone", days=3))
    assert wanted(settings) == ["b"]


def test_a_photograph_whose_run_was_killed_between_two_attempts_is_wanted(settings: Settings) -> None:
    write_index(settings, "a")
    record(settings, attempt("a", AGAIN, http_status=503))
    assert wanted(settings) == ["a"]


def test_attempts_are_counted_over_all_runs(settings: Settings) -> None:
    write_index(settings, "a", "b")
    record(settings, attempt("a", AGAIN), attempt("a", "failed", attempt=2), attempt("b", "failed", attempt=0))
    record(settings, attempt("a", "ok"), attempt("b", "failed"))
    fold(settings.paths)
    rows = pq.read_table(settings.paths.table("photos")).to_pylist()
    assert {row["photo_id"]: (row["status"], row["attempts"]) for row in rows} == {"a": ("ok", 3), "b": ("failed", 1)}


STATIC = "https://static.inaturalist.org/photos/7/{}.jpg?1"
OPEN = "https://inaturalist-open-data.s3.amazonaws.com/photos/7/{}.jpeg"


@pytest.mark.parametrize(("size", "asked"), [("large", []), ("original", ["7"])])
def test_a_photograph_is_known_again_on_the_other_host_in_the_same_size(
    settings: Settings, size: str, asked: list[str]
) -> None:
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    record(settings, attempt("7", url=STATIC.format("large")))
    write_index(settings, **{"7": OPEN.format(size)})
    assert wanted(settings) == asked
    if not asked:
        assert fold(settings.paths) == {"ok": 1}
        (row,) = pq.read_table(settings.paths.table("photos")).to_pylist()
        assert (row["url"], row["sha256"]) == (OPEN.format("large"), SHA256)


def test_a_failure_counts_for_the_address_that_failed(settings: Settings) -> None:
    record(settings, attempt("7", "gone", url=STATIC.format("large")))
    write_index(settings, **{"7": STATIC.format("large")})
    assert wanted(settings) == []
    write_index(settings, **{"7": OPEN.format("large")})
    assert wanted(settings) == ["7"]


def test_what_hosts_sent_within_a_day_is_known(settings: Settings) -> None:
    record(
        settings,
        attempt("a", url="https://User@Photos.test:8080/1.jpg", days=0.5, bytes=10),
        attempt("b", url="https://photos.test:8080/2.jpg", days=0.5, bytes=20),
        attempt("c", url="http://other.test/3.jpg", days=2, bytes=40),
        attempt("d", "gone", url="http://other.test/4.jpg"),
    )
    received = received_lately(settings.paths)
    assert {host: sum(count for _, count in bodies) for host, bodies in received.items()} == {"photos.test:8080": 30}


def test_stored_bodies_are_listed_and_halves_removed(settings: Settings) -> None:
    folder = settings.paths.photos
    store(folder, sha256=SHA256, content=BODY)
    half = folder / SHA256[:2] / f"{SHA256}.jpg.123.partial"
    half.write_bytes(b"half")
    table = pq.read_table(list_stored(folder, output=settings.paths.data_root / "stored.parquet"))
    assert table.to_pylist() == [{"sha256": SHA256, "bytes": len(BODY)}]
    assert not half.exists()


def test_without_bodies_the_list_is_empty(tmp_path: Path) -> None:
    assert pq.read_table(list_stored(tmp_path / "none", output=tmp_path / "stored.parquet")).num_rows == 0
