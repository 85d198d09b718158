"""Files are whole or absent; locks exclude; hashes depend on content alone."""

import multiprocessing
import os
import signal
import stat
from pathlib import Path

import pytest

from pipeline.errors import LockedError
from pipeline.files import (
    atomic_path,
    digest_of,
    exclusive,
    remembered_sha256,
    sha256_of,
    work_folder,
    write_bytes,
    write_json,
)


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = write_bytes(tmp_path / "table.parquet", b"old")

    def fail_half_way() -> None:
        with atomic_path(target) as partial:
            partial.write_bytes(b"half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    waited = os.fsync

    def note(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((str(name), (tmp_path / "table.parquet").exists()))
        waited(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_bytes(tmp_path / "table.parquet", b"rows")
    (content, named_before), (folder, named_after) = synced
    assert content.endswith("/table.parquet")
    assert folder == str(tmp_path)
    assert (named_before, named_after) == (False, True)


def test_what_lies_in_a_work_folder_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail(f"waited for {descriptor}"))
    with work_folder(tmp_path / "work") as folder:
        assert write_bytes(folder / "part.parquet", b"rows").read_bytes() == b"rows"


def test_a_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    target = write_bytes(tmp_path / "table.parquet", b"rows")
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def _write_slowly(path: Path, begun: "multiprocessing.synchronize.Event") -> None:
    with atomic_path(path) as partial:
        partial.write_bytes(b"half")
        (partial.parent / "spill").mkdir()
        begun.set()
        signal.pause()


@pytest.mark.parametrize("name", ["table.parquet", "birds [2026] *?.parquet"])
def test_the_next_write_removes_what_killed_ones_left_and_nothing_of_living_ones(tmp_path: Path, name: str) -> None:
    context = multiprocessing.get_context("spawn")
    target = tmp_path / name
    (tmp_path / f".{name}.of-an-earlier-version.partial").write_bytes(b"half")
    (tmp_path / ".another.parquet.x.partial").mkdir()
    writers = []
    for _ in range(2):
        begun = context.Event()
        writer = context.Process(target=_write_slowly, args=(target, begun))
        writer.start()
        writers.append(writer)
        assert begun.wait(60)
    dead, living = writers
    try:
        dead.kill()
        dead.join()
        write_bytes(target, b"whole")
        left = [path for path in tmp_path.iterdir() if path.name.startswith(f".{name}.")]
        assert len(left) == 1
        assert sorted(path.name for path in left[0].iterdir()) == sorted([name, "spill"])
        assert (tmp_path / ".another.parquet.x.partial").exists()
    finally:
        living.kill()
        living.join()
    write_bytes(target, b"again")
    assert target.read_bytes() == b"again"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(f".{name}.")]


@pytest.mark.parametrize("remembered", ["", "{", "[]", "{}", '"text"', '{"bytes": 4}'])
def test_a_hash_that_cannot_be_read_any_more_is_computed_again(tmp_path: Path, remembered: str) -> None:
    archive = write_bytes(tmp_path / "archive.zip", b"rows")
    (tmp_path / "archive.zip.sha256.json").write_text(remembered)
    assert remembered_sha256(archive) == sha256_of(archive) == remembered_sha256(archive)


def test_json_is_written_the_same_whatever_the_order_of_keys(tmp_path: Path) -> None:
    one = write_json(tmp_path / "one.json", {"b": 1, "a": 2})
    two = write_json(tmp_path / "two.json", {"a": 2, "b": 1})
    assert sha256_of(one) == sha256_of(two)


def test_a_digest_depends_on_content_alone() -> None:
    assert digest_of({"b": 1, "a": [2, 3]}) == digest_of({"a": [2, 3], "b": 1})
    assert digest_of("a", "b") != digest_of("ab")


def _hold(path: Path, held: "multiprocessing.synchronize.Event", release: "multiprocessing.synchronize.Event") -> None:
    with exclusive(path):
        held.set()
        release.wait(30)


def test_a_second_process_waits_and_then_says_what_is_locked(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "lock", held, release))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(LockedError, match="lock"), exclusive(tmp_path / "lock", wait_seconds=0.3):
            pytest.fail("two holders at once")
    finally:
        release.set()
        other.join(30)
    with exclusive(tmp_path / "lock", wait_seconds=0.3):
        pass


def test_a_work_folder_begins_empty_and_is_gone_afterwards(tmp_path: Path) -> None:
    left = tmp_path / "work" / "asset" / "of-a-killed-run"
    left.parent.mkdir(parents=True)
    left.touch()
    with work_folder(tmp_path / "work" / "asset") as folder:
        assert not list(folder.iterdir())
        with pytest.raises(LockedError), exclusive(tmp_path / "work" / "asset.lock", wait_seconds=0.1):
            pytest.fail("two runs in one folder")
    assert not folder.exists()
