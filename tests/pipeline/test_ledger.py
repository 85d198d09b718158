"""The journal of fetches and the ledger that it is folded into."""

import datetime as dt
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config import PhotoSettings, Settings
from pipeline.errors import TableError
from pipeline.photos.ledger import (
    ASK_AGAIN_AFTER,
    Entry,
    fold,
    limits_of,
    open_journal,
    path_of,
    pending,
    read_journal,
    store,
)
from pipeline.tables import CONTRACTS, check_table

LIMITS = limits_of(PhotoSettings(), ())
BODY = b"a photograph"
SHA256 = hashlib.sha256(BODY).hexdigest()


def write_index(settings: Settings, *photo_ids: str) -> None:
    rows = [{"photo_id": name, "occurrence_key": "k", "observation_id": "o", "url": f"u{name}"} for name in photo_ids]
    settings.paths.tables.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=CONTRACTS["photo_index"].schema)
    pq.write_table(table, settings.paths.table("photo_index"))


def write_journal(settings: Settings, *entries: Entry) -> None:
    with open_journal(settings.paths.fetch_journal) as journal:
        for entry in entries:
            journal.append(entry)


def entry(photo_id: str, status: str = "ok", *, days: int = 0, **changes: Any) -> Entry:  # noqa: ANN401
    """The end of a fetch some days ago."""
    moment = dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - dt.timedelta(days=days)
    body = {"sha256": SHA256, "bytes": len(BODY), "width": 4, "height": 3} if status == "ok" else {}
    values = {
        "url": f"u{photo_id}",
        "limits": LIMITS,
        "attempts": 1,
        "fetched_at": moment.isoformat(),
        **body,
        **changes,
    }
    return Entry(photo_id=photo_id, status=status, **values)


def wanted(settings: Settings, *, limits: str = LIMITS) -> list[str]:
    table = pending(settings.paths, limits=limits, output=settings.data_root / "pending.parquet")
    return list(pq.read_table(table).column("photo_id").to_pylist())


def test_without_a_journal_everything_is_wanted(settings: Settings) -> None:
    write_index(settings, "b", "a")
    assert wanted(settings) == ["a", "b"]


PERMANENT = ("gone", "not_jpeg", "corrupt", "too_large", "blocked")


@pytest.mark.parametrize("status", PERMANENT)
def test_a_permanent_failure_stands_for_thirty_days(settings: Settings, status: str) -> None:
    write_index(settings, "old", "recent")
    days = ASK_AGAIN_AFTER.days
    write_journal(settings, entry("old", status, days=days + 1), entry("recent", status, days=days - 1))
    assert wanted(settings) == ["old"]


def test_a_passing_failure_is_wanted_again(settings: Settings) -> None:
    write_index(settings, "a")
    write_journal(settings, entry("a", "failed"))
    assert wanted(settings) == ["a"]


@pytest.mark.parametrize("status", PERMANENT)
def test_other_limits_void_the_verdicts_that_depend_upon_them(settings: Settings, status: str) -> None:
    write_index(settings, "a")
    write_journal(settings, entry("a", status))
    other = limits_of(PhotoSettings(max_bytes=1), ())
    assert wanted(settings, limits=other) == (["a"] if status in {"too_large", "blocked"} else [])


def test_a_photograph_whose_file_is_there_is_not_wanted(settings: Settings) -> None:
    write_index(settings, "a")
    write_journal(settings, entry("a"))
    assert wanted(settings) == ["a"], "its file is missing"
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    assert wanted(settings) == []
    path_of(settings.paths.photos, SHA256).write_bytes(BODY[:3])
    assert wanted(settings) == ["a"], "its file is cut"


def test_an_old_photograph_is_never_asked_for_again(settings: Settings) -> None:
    write_index(settings, "a")
    write_journal(settings, entry("a", days=1000))
    store(settings.paths.photos, sha256=SHA256, content=BODY)
    assert wanted(settings) == []


def test_the_last_line_counts(settings: Settings) -> None:
    write_index(settings, "a", "b")
    write_journal(settings, entry("a", "failed"), entry("b", "ok"), entry("a", "ok"), entry("b", "gone", error="404"))
    assert fold(settings.paths) == {"gone": 1, "ok": 1}
    rows = pq.read_table(settings.paths.table("photos")).to_pylist()
    assert [(row["photo_id"], row["status"], row["sha256"], row["path"]) for row in rows] == [
        ("a", "ok", SHA256, f"photos/{SHA256[:2]}/{SHA256}.jpg"),
        ("b", "gone", None, None),
    ]
    assert check_table("photos", settings.paths.table("photos")) == []
    (line,) = pq.read_table(settings.paths.rejections_of("photos")).to_pylist()
    assert line == {"stage": "photos", "key": "b", "rule": "gone", "detail": "404"}


@pytest.mark.parametrize("torn", [b"{", b'{"photo_id":"b","url":"ub","status":"ok"', b"\x00" * 70_000])
def test_a_torn_last_line_is_cut_off(settings: Settings, torn: bytes) -> None:
    write_index(settings, "a", "b")
    write_journal(settings, entry("a", "gone"))
    whole = settings.paths.fetch_journal.read_bytes()
    with settings.paths.fetch_journal.open("ab") as stream:
        stream.write(torn)
    assert wanted(settings) == ["b"]
    assert settings.paths.fetch_journal.read_bytes() == whole
    write_journal(settings, entry("b", "gone"))
    assert read_journal(settings.paths.fetch_journal).num_rows == 2


def test_a_journal_that_is_one_torn_line_is_empty(settings: Settings) -> None:
    write_index(settings, "a")
    settings.paths.fetch_journal.parent.mkdir(parents=True)
    settings.paths.fetch_journal.write_bytes(b'{"photo_id"')
    assert wanted(settings) == ["a"]


def test_damage_inside_the_journal_is_an_error(settings: Settings) -> None:
    write_index(settings, "a")
    write_journal(settings, entry("a", "gone"))
    settings.paths.fetch_journal.write_bytes(b"not json\n" + settings.paths.fetch_journal.read_bytes())
    with pytest.raises(TableError, match=r"journal\.jsonl is damaged"):
        wanted(settings)


@given(
    texts=st.lists(
        st.text(max_size=30) | st.just('quote " backslash \\ line\nend \u2028 tab\t'), min_size=1, max_size=5
    )
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_any_text_survives_the_journal(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    with open_journal(path) as journal:
        for number, text in enumerate(texts):
            journal.append(entry(str(number), "failed", error=text.encode(errors="replace").decode()))
    table = read_journal(path)
    assert table.column("error").to_pylist() == [text.encode(errors="replace").decode() for text in texts]
    assert table.column("line").to_pylist() == list(range(len(texts)))


def test_a_line_is_plain_json(settings: Settings) -> None:
    write_journal(settings, entry("a"))
    line = json.loads(settings.paths.fetch_journal.read_text())
    assert set(line) >= {
        "photo_id",
        "status",
        "http_status",
        "sha256",
        "bytes",
        "width",
        "height",
        "attempts",
        "error",
        "fetched_at",
    }


def test_threads_may_store_the_same_body_at_once(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def run() -> None:
        barrier.wait()
        for _ in range(50):
            store(tmp_path, sha256=SHA256, content=BODY)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [BODY]


def test_stored_photographs_are_readable_like_any_other_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    store(tmp_path, sha256=SHA256, content=BODY)
    assert path_of(tmp_path, SHA256).stat().st_mode == plain.stat().st_mode
