"""Photographs on disk: under their hash, whole or absent, once."""

import hashlib
import subprocess
import sys
from pathlib import Path

from pipeline.paths import PROJECT_ROOT
from pipeline.photos.bodies import path_of, store

BODY = b"a photograph"
SHA256 = hashlib.sha256(BODY).hexdigest()

STORING = """
import sys
from pathlib import Path
from pipeline.photos.bodies import store
body = sys.argv[3].encode()
for _ in range(300):
    store(Path(sys.argv[1]), sha256=sys.argv[2], content=body)
    (Path(sys.argv[1]) / sys.argv[2][:2] / f"{sys.argv[2]}.jpg").unlink(missing_ok=True)
store(Path(sys.argv[1]), sha256=sys.argv[2], content=body)
"""


def test_a_body_lies_under_its_hash(tmp_path: Path) -> None:
    store(tmp_path, sha256=SHA256, content=BODY)
    assert path_of(tmp_path, SHA256) == tmp_path / SHA256[:2] / f"{SHA256}.jpg"
    assert path_of(tmp_path, SHA256).read_bytes() == BODY


def test_the_same_body_is_written_once(tmp_path: Path) -> None:
    store(tmp_path, sha256=SHA256, content=BODY)
    written = path_of(tmp_path, SHA256).stat()
    store(tmp_path, sha256=SHA256, content=BODY)
    again = path_of(tmp_path, SHA256).stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_a_file_that_was_cut_is_replaced(tmp_path: Path) -> None:
    store(tmp_path, sha256=SHA256, content=BODY)
    path_of(tmp_path, SHA256).write_bytes(BODY[:3])
    store(tmp_path, sha256=SHA256, content=BODY)
    assert path_of(tmp_path, SHA256).read_bytes() == BODY


def test_several_processes_may_store_the_same_body_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STORING, str(tmp_path), SHA256, BODY.decode()]
    children = [subprocess.Popen(command, cwd=PROJECT_ROOT) for _ in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0] * 4
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] in ([BODY], [])


def test_stored_photographs_are_readable_like_any_other_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    store(tmp_path, sha256=SHA256, content=BODY)
    assert path_of(tmp_path, SHA256).stat().st_mode == plain.stat().st_mode
