"""The journal of attempts: lines that survive a kill, and their sealing into Parquet."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config.settings import Settings
from pipeline.errors import TableError
from pipeline.paths import Paths
from pipeline.photos import journal as journal_module
from pipeline.photos.journal import SCHEMA, Attempt, Journal, open_journal, seal
from tests.pipeline.photo_index import attempts


class KillError(BaseException):
    """A kill at a chosen step; nothing of the code catches it."""


def attempt(photo_id: str, **changes: Any) -> Attempt:  # noqa: ANN401
    """An attempt that failed, with the given changes."""
    return Attempt(**{"photo_id": photo_id, "url": f"u{photo_id}", "attempt": 1, "status": "failed", **changes})


def write_open(paths: Paths, *photo_ids: str) -> None:
    """Leave lines in the open journal, as a killed run does."""
    with contextlib.suppress(KillError), open_journal(paths) as journal:
        for photo_id in photo_ids:
            journal.append(attempt(photo_id))
        raise KillError


@contextlib.contextmanager
def one_run(paths: Paths) -> Iterator[Journal]:
    """A run that ends well: its journal is sealed."""
    with open_journal(paths) as journal:
        yield journal
    seal(paths)


def names(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.paths.attempts.iterdir())


def sealed(settings: Settings) -> list[str]:
    """The photographs of the sealed attempts, in order."""
    return [row["photo_id"] for row in attempts(settings)]


def test_a_line_is_plain_json_of_every_column(settings: Settings) -> None:
    write_open(settings.paths, "a")
    (line,) = settings.paths.fetch_journal.read_text().splitlines()
    assert list(json.loads(line)) == SCHEMA.names


def test_a_line_is_with_the_operating_system_at_once(settings: Settings) -> None:
    with open_journal(settings.paths) as journal:
        journal.append(attempt("a"))
        assert settings.paths.fetch_journal.read_bytes().count(b"\n") == 1


def test_a_run_that_ends_leaves_one_sealed_file(settings: Settings) -> None:
    for photo_ids in (("b", "a"), ("c",)):
        with one_run(settings.paths) as journal:
            for photo_id in photo_ids:
                journal.append(attempt(photo_id))
    assert names(settings) == ["000000.parquet", "000001.parquet", "000002.parquet"]
    assert not settings.paths.fetch_journal.exists()
    assert sealed(settings) == ["b", "a", "c"], "in the order of writing"


def test_a_run_without_an_attempt_leaves_no_file(settings: Settings) -> None:
    with one_run(settings.paths):
        pass
    seal(settings.paths)
    assert names(settings) == ["000000.parquet"]
    assert attempts(settings) == []


def test_sealing_twice_changes_nothing(settings: Settings) -> None:
    write_open(settings.paths, "a")
    seal(settings.paths)
    before = {path: path.read_bytes() for path in settings.paths.attempts.iterdir()}
    seal(settings.paths)
    assert {path: path.read_bytes() for path in settings.paths.attempts.iterdir()} == before


def test_what_a_killed_run_left_is_sealed_with_what_follows(settings: Settings) -> None:
    write_open(settings.paths, "a")
    with one_run(settings.paths) as journal:
        journal.append(attempt("b"))
    assert sealed(settings) == ["a", "b"]


@pytest.mark.parametrize("torn", [b"{", b'{"photo_id":"b","url":"ub","status":"ok"', b"\x00" * 70_000, b"x" * 200_000])
def test_a_torn_last_line_is_cut_off(settings: Settings, torn: bytes) -> None:
    write_open(settings.paths, "a")
    with settings.paths.fetch_journal.open("ab") as stream:
        stream.write(torn)
    seal(settings.paths)
    assert sealed(settings) == ["a"]


def test_a_journal_that_is_one_torn_line_is_empty(settings: Settings) -> None:
    settings.paths.fetch_journal.parent.mkdir(parents=True)
    settings.paths.fetch_journal.write_bytes(b'{"photo_id"')
    seal(settings.paths)
    assert attempts(settings) == []
    assert not settings.paths.fetch_journal.exists()


def kill_at_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Path, target: Path) -> Path:
        raise KillError(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def kill_at_convert(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(lines: Path, sealed: Path) -> None:
        raise KillError(lines, sealed)

    monkeypatch.setattr(journal_module, "_convert", convert)


def kill_at_unlink(monkeypatch: pytest.MonkeyPatch) -> None:
    unlink = Path.unlink

    def unlinked(self: Path, *, missing_ok: bool = False) -> None:
        if self.suffix == ".jsonl":
            raise KillError(self)
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlinked)


@pytest.mark.parametrize("kill", [kill_at_rename, kill_at_convert, kill_at_unlink])
@pytest.mark.parametrize("more", [(), ("c", "d")], ids=["sealed-at-once", "more-attempts-first"])
def test_a_kill_between_the_steps_of_sealing_loses_and_doubles_nothing(
    settings: Settings, kill: Callable[[pytest.MonkeyPatch], None], more: tuple[str, ...]
) -> None:
    seal(settings.paths)
    write_open(settings.paths, "a", "b")
    with pytest.MonkeyPatch.context() as patch:
        kill(patch)
        with pytest.raises(KillError):
            seal(settings.paths)
    with one_run(settings.paths) as journal:
        for photo_id in more:
            journal.append(attempt(photo_id))
    assert sealed(settings) == ["a", "b", *more]
    assert [name for name in names(settings) if not name.endswith(".parquet")] == []
    lines = [row["line"] for row in attempts(settings)]
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("damage", [b"not json\n", b'{"photo_id":1}\n', b"[]\n"])
def test_damage_is_an_error_that_names_the_file_and_keeps_it(settings: Settings, damage: bytes) -> None:
    write_open(settings.paths, "a")
    journal = settings.paths.fetch_journal
    journal.write_bytes(damage + journal.read_bytes())
    for _ in range(2):
        with pytest.raises(TableError, match=r"000001\.jsonl is damaged"):
            seal(settings.paths)
    kept = settings.paths.attempts / "000001.jsonl"
    kept.write_bytes(kept.read_bytes().removeprefix(damage))
    seal(settings.paths)
    assert sealed(settings) == ["a"], "as the message says: the line was removed"


@given(
    texts=st.lists(
        st.text(st.characters(), max_size=30) | st.sampled_from(['" \\ \n \u2028 \t \x00', "of a host: \udcff", ""]),
        min_size=1,
        max_size=5,
    )
)
@hypothesis_settings(max_examples=40, deadline=None)
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    settings = Settings(name="test", data_root=tmp_path_factory.mktemp("journal"))
    with one_run(settings.paths) as journal:
        for number, text in enumerate(texts):
            journal.append(attempt(str(number), error=text))
    # A lone surrogate is no text; it becomes a question mark.
    assert [row["error"] for row in attempts(settings)] == [text.encode(errors="replace").decode() for text in texts]


def test_many_lines_are_numbered_through_all_blocks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_BLOCK", 4096)
    with one_run(settings.paths) as journal:
        for number in range(500):
            journal.append(attempt(str(number)))
    assert sealed(settings) == [str(number) for number in range(500)]
    lines = [row["line"] for row in attempts(settings)]
    assert lines == list(range(lines[0], lines[0] + 500))
