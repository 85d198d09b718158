"""Writing files so that they are either whole or absent, locking, and content hashes. No knowledge of tables."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from pipeline.errors import LockedError

SAY_SECONDS: Final = 1.0
"""How long a lock is waited for before that is said."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on error it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes files private to one user; tables and photographs are shared like any other file.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """Yield `path` as an empty folder of this run alone, whatever a killed run left there, and remove it afterwards.

    Raises:
        LockedError: another run is at work there.
    """
    with exclusive(path.with_name(f"{path.name}.lock")):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            shutil.rmtree(path)


def write_bytes(path: Path, content: bytes) -> Path:
    """Write `content` atomically and return `path`."""
    with atomic_path(path) as partial:
        partial.write_bytes(content)
    return path


def write_json(path: Path, value: object) -> Path:
    """Write `value` as indented, key-sorted JSON, atomically, and return `path`."""
    return write_bytes(path, (json.dumps(value, indent=2, sort_keys=True, default=str) + "\n").encode())


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remembered_sha256(path: Path) -> str:
    """As `sha256_of`, read once for as long as the file keeps its size and its time; remembered in a file beside it."""
    facts = path.stat()
    beside = path.with_name(f"{path.name}.sha256.json")
    state = {"bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    if beside.exists():
        remembered = json.loads(beside.read_text(encoding="utf-8"))
        if {name: remembered.get(name) for name in state} == state:
            return str(remembered["sha256"])
    digest = sha256_of(path)
    write_json(beside, {**state, "sha256": digest})
    return digest


def digest_of(*parts: object) -> str:
    """A short, stable content hash (16 hexadecimal digits) of JSON-serialisable values."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def exclusive(path: Path, *, wait_seconds: float = 30.0) -> Iterator[None]:
    """Hold an exclusive lock on `path` while the block runs; waiting for another holder is logged.

    Raises:
        LockedError: another process held the lock for all of `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        began, said = time.monotonic(), False
        while not _locked(stream):
            waited = time.monotonic() - began
            holder = path.read_text(encoding="utf-8").strip() or "another process"
            if waited >= wait_seconds:
                raise LockedError(f"{path} is locked by {holder}; wait for that run to end, or stop it")
            if waited >= SAY_SECONDS and not said:
                said = True
                logging.getLogger(__name__).warning("waiting up to %.0f s for %s: %s", wait_seconds, holder, path)
            time.sleep(0.2)
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {platform.node()} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n")
        stream.flush()
        yield


def _locked(stream: TextIO) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
