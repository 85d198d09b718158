"""A file is whole or not there."""

from pathlib import Path

import pytest

from ml.files import replacing


def test_what_was_written_takes_its_place(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with replacing(tmp_path / "new" / "file.txt") as partial:
            partial.write_text(text)
        assert (tmp_path / "new" / "file.txt").read_text() == text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.txt"]


def break_off(file: Path) -> None:
    with replacing(file) as partial:
        partial.write_text("half")
        raise OSError("the disk is full")


def test_an_error_leaves_what_stood_there(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("old")
    with pytest.raises(OSError, match="the disk is full"):
        break_off(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
