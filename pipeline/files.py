"""Writing files so that they are either whole or absent, locking, and content hashes. No knowledge of tables."""

import contextlib
import fcntl
import glob
import hashlib
import json
import logging
import math
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from pipeline.errors import LockedError

SAY_SECONDS: Final = 1.0
"""How long a lock is waited for before the log says so."""

_work_folders: Final[set[Path]] = set()
"""The work folders that this process is using."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder beside `path`, for the block to write a file to.

    On success the file replaces `path` and survives a power failure (unless it is in a `work_folder`, which nothing
    reads after one); on error it is removed. What killed writers of `path` left behind is removed first; what running
    writers write is left alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    with _locked_folder(path) as folder:
        partial = folder / path.name
        yield partial
        durable = _work_folders.isdisjoint(path.parents)
        if durable:
            sync(partial)
        partial.replace(path)
        if durable:
            sync(path.parent)


def sync(path: Path) -> None:
    """Wait until what was written to a file, or renamed in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, locked while this process is in the block, and removed afterwards."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial"))
        with _lock_of(folder) as held:
            if not held:
                # Another writer took it for a leftover before it could be locked.
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder)
            return


def _remove_leftovers(path: Path) -> None:
    """Remove the folders of writers of `path` that were killed: the system has released their locks."""
    for found in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        if not found.is_dir():
            # Of earlier versions, which wrote a file and no folder.
            found.unlink(missing_ok=True)
            continue
        with _lock_of(found) as held:
            if held:
                shutil.rmtree(found, ignore_errors=True)


@contextlib.contextmanager
def _lock_of(folder: Path) -> Iterator[bool]:
    """Whether `folder` exists and could be locked for the block."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        # It may have been removed between the two calls.
        yield folder.exists()
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """Yield `path` as an empty folder for this run alone, whatever a killed run left there, and remove it afterwards.

    Raises:
        LockedError: another run is using it.
    """
    with exclusive(path.with_name(f"{path.name}.lock")):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        _work_folders.add(path)
        try:
            yield path
        finally:
            _work_folders.discard(path)
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
    """The SHA-256 of a file's bytes, computed once while the file keeps its size and its time."""
    return remembered(path, "sha256", lambda: sha256_of(path))


def remembered(path: Path, name: str, compute: Callable[[], str]) -> str:
    """What `compute` makes of a file, computed once while the file keeps its size and its time.

    Args:
        path: The file; what is remembered of it is in a file beside it, `<name of the file>.sha256.json`.
        name: Distinguishes the values that are remembered of one file.
        compute: Reads the file.
    """
    facts = path.stat()
    state: dict[str, object] = {"bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    beside = path.with_name(f"{path.name}.sha256.json")
    known = state
    # A file that cannot be read, or tells of another state, is written anew.
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(beside.read_text(encoding="utf-8"))
        if isinstance(found, dict) and {**found, **state} == found:
            known = found
    if name not in known:
        known = {**known, name: compute()}
        write_json(beside, known)
    return str(known[name])


def digest_of(*parts: object) -> str:
    """A short, stable content hash (16 hexadecimal digits) of JSON-serialisable values."""
    text = json.dumps(parts, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def exclusive(
    path: Path, *, wait_seconds: float = 30.0, who: str = "", look: Callable[[str], object] = lambda _: None
) -> Iterator[None]:
    """Hold an exclusive lock on `path` while the block runs; waiting for another holder is logged.

    Args:
        path: The lock's file; it stays, and says who held it last.
        wait_seconds: How long to wait for another holder.
        who: What this process does, for those who wait.
        look: Called several times a second while it waits, with the holder in words. It may raise.

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
                limit = "" if math.isinf(wait_seconds) else f"up to {wait_seconds:.0f} s "
                logging.getLogger(__name__).warning("waiting %sfor %s: %s", limit, holder, path)
            look(holder)
            time.sleep(0.2)
        stream.truncate(0)
        process = f"process {os.getpid()} on {platform.node()} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        stream.write(f"{who}, {process}\n" if who else f"{process}\n")
        stream.flush()
        yield


def _locked(stream: TextIO) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
