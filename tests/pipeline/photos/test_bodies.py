"""Photographs on disk: whole or absent, once, under their hash."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.paths import PROJECT_ROOT
from pipeline.photos.bodies import path_of, store

BODY = b"a photograph" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_body_lies_under_its_hash(tmp_path: Path) -> None:
    store(tmp_path, sha256=SHA256, content=BODY)
    assert files_of(tmp_path) == [path_of(tmp_path, SHA256)]
    assert path_of(tmp_path, SHA256) == tmp_path / SHA256[:2] / f"{SHA256}.jpg"
    assert path_of(tmp_path, SHA256).read_bytes() == BODY


def test_a_body_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    store(tmp_path, sha256=SHA256, content=BODY)
    before = path_of(tmp_path, SHA256).stat()
    store(tmp_path, sha256=SHA256, content=BODY)
    after = path_of(tmp_path, SHA256).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("present", [BODY[:10], BODY + b"more"], ids=["cut", "longer"])
def test_a_body_of_another_length_is_replaced(tmp_path: Path, present: bytes) -> None:
    store(tmp_path, sha256=SHA256, content=BODY)
    path_of(tmp_path, SHA256).write_bytes(present)
    store(tmp_path, sha256=SHA256, content=BODY)
    assert [path.read_bytes() for path in files_of(tmp_path)] == [BODY]


def test_a_partial_file_of_a_killed_process_with_the_same_number_is_no_hindrance(tmp_path: Path) -> None:

    partial = Path(f"{path_of(tmp_path, SHA256)}.{os.getpid()}.partial")
    partial.parent.mkdir()
    partial.write_bytes(BODY + b"left by another")
    store(tmp_path, sha256=SHA256, content=BODY)
    assert [path.read_bytes() for path in files_of(tmp_path)] == [BODY]


def test_a_refusing_disk_is_an_error(tmp_path: Path) -> None:
    (tmp_path / SHA256[:2]).write_text("a file where a folder should be")
    with pytest.raises(NotADirectoryError):
        store(tmp_path, sha256=SHA256, content=BODY)


def test_stored_photographs_are_readable_like_any_other_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    store(tmp_path, sha256=SHA256, content=BODY)
    assert path_of(tmp_path, SHA256).stat().st_mode == plain.stat().st_mode


STORE = """
import hashlib, sys
from pathlib import Path
from pipeline.photos.bodies import path_of, store
folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    content = str(number).encode() * 2000
    sha256 = hashlib.sha256(content).hexdigest()
    store(folder, sha256=sha256, content=content)
    assert path_of(folder, sha256).read_bytes() == content, number
"""


def test_processes_may_store_the_same_bodies_at_once(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", STORE, str(tmp_path)],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    stored = files_of(tmp_path)
    assert len(stored) == 200
    for path in stored:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
