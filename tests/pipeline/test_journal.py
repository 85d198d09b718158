"""The record of every attempt: lines while fetching, sealed tables afterwards, and what a kill leaves of either."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.errors import TableError
from pipeline.paths import Paths
from pipeline.photos.journal import SCHEMA, SEALED, Attempt, open_journal, seal


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(data_root=tmp_path)


def write(paths: Paths, *photo_ids: str) -> None:
    with open_journal(paths) as journal:
        for photo_id in photo_ids:
            journal.append(Attempt(photo_id=photo_id, url="u", attempt=1, status="gone"))


def sealed(paths: Paths) -> pa.Table:
    return pq.read_table(paths.attempts).sort_by("line")


def photo_ids(paths: Paths) -> list[str]:
    return list(sealed(paths)["photo_id"].to_pylist())


def test_a_line_is_plain_json_with_all_columns(paths: Paths) -> None:
    with open_journal(paths) as journal:
        journal.append(Attempt(photo_id="a", url="u", attempt=1, status="ok", sha256="s", bytes=5))
        journal.flush()
        line = json.loads(paths.fetch_journal.read_text())
    assert list(line) == SCHEMA.names
    assert (line["photo_id"], line["attempt"], line["bytes"], line["error"]) == ("a", 1, 5, None)


def test_a_journal_is_sealed_when_its_run_ends(paths: Paths) -> None:
    write(paths, "a", "b")
    write(paths, "c")
    assert not paths.fetch_journal.exists()
    assert sealed(paths).schema.equals(SEALED)
    assert photo_ids(paths) == ["a", "b", "c"]


def test_before_anything_was_fetched_there_is_an_empty_table(paths: Paths) -> None:
    seal(paths)
    assert sealed(paths).num_rows == 0


@pytest.mark.parametrize("torn", [b"", b"{", b'{"photo_id":"b","url":"ub","status":"ok"', b"\x00" * 70_000])
def test_what_a_kill_leaves_of_a_line_is_cut_off(paths: Paths, torn: bytes) -> None:
    write(paths, "a")
    with pytest.raises(KeyboardInterrupt), open_journal(paths) as journal:
        journal.append(Attempt(photo_id="b", url="u", attempt=1, status="gone"))
        raise KeyboardInterrupt
    with paths.fetch_journal.open("ab") as stream:
        stream.write(torn)
    seal(paths)
    assert photo_ids(paths) == ["a", "b"]


def test_a_journal_that_is_one_torn_line_is_empty(paths: Paths) -> None:
    paths.fetch_journal.parent.mkdir(parents=True)
    paths.fetch_journal.write_bytes(b'{"photo_id"')
    seal(paths)
    assert photo_ids(paths) == []


@pytest.mark.parametrize("step", ["renamed", "converted"])
def test_a_kill_while_sealing_loses_no_line_and_doubles_none(paths: Paths, step: str) -> None:
    write(paths, "a", "b")
    (table,) = paths.attempts.glob("000001.parquet")
    lines = table.with_suffix(".jsonl")
    with open_journal(paths) as journal:
        for name in ("a", "b"):
            journal.append(Attempt(photo_id=name, url="u", attempt=1, status="gone"))
        journal.flush()
        lines.write_bytes(paths.fetch_journal.read_bytes())
        paths.fetch_journal.unlink()
    if step == "renamed":
        table.unlink()
    seal(paths)
    assert photo_ids(paths) == ["a", "b"]
    assert not lines.exists()


def test_damage_inside_the_journal_is_an_error_that_names_the_file(paths: Paths) -> None:
    write(paths, "a")
    paths.fetch_journal.write_bytes(b"not json\n")
    for _ in range(2):
        with pytest.raises(TableError, match=r"000002\.jsonl is damaged"):
            seal(paths)


@given(
    texts=st.lists(
        st.text(max_size=30) | st.just('quote " backslash \\ line\nend \u2028 tab\t'), min_size=1, max_size=5
    )
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    paths = Paths(data_root=tmp_path_factory.mktemp("journal"))
    texts = [text.encode(errors="replace").decode() for text in texts]
    with open_journal(paths) as journal:
        for text in texts:
            journal.append(Attempt(photo_id="a", url="u", attempt=1, status="failed", error=text))
    assert sealed(paths)["error"].to_pylist() == texts
