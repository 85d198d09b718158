"""Files are whole or absent; locks exclude; hashes depend on content alone."""

import os
from pathlib import Path

import pytest

from pipeline import files
from pipeline.errors import LockedError
from pipeline.files import atomic_path, digest_of, exclusive, sha256_of, work_folder, write_bytes, write_json


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


def test_json_is_written_the_same_whatever_the_order_of_keys(tmp_path: Path) -> None:
    one = write_json(tmp_path / "one.json", {"b": 1, "a": 2})
    two = write_json(tmp_path / "two.json", {"a": 2, "b": 1})
    assert sha256_of(one) == sha256_of(two)


def test_a_digest_depends_on_content_alone() -> None:
    assert digest_of({"b": 1, "a": [2, 3]}) == digest_of({"a": [2, 3], "b": 1})
    assert digest_of("a", "b") != digest_of("ab")


def test_a_second_holder_waits_with_a_word_and_then_says_what_is_locked_by_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "SAY_SECONDS", 0.0)
    # A lock belongs to an open file: two of one process keep each other out as two processes do.
    with exclusive(tmp_path / "lock"):
        with pytest.raises(LockedError) as refused, exclusive(tmp_path / "lock", wait_seconds=0.3):
            pytest.fail("two holders at once")
        for part in (str(tmp_path / "lock"), f"process {os.getpid()} on ", "wait for that run to end"):
            assert part in str(refused.value)
    (line,) = caplog.messages
    assert f"process {os.getpid()}" in line
    assert "waiting up to" in line
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
