"""Writing files so that they are either whole or absent, locking, and content hashes. No knowledge of tables."""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import LockedError

_work_folders: Final[set[Path]] = set()
"""Those of this process that are in use."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder beside `path`, for the block to write a file to.

    On success the file takes the place of `path`, and stays there also when the machine loses its power (unless it lies
    in a `work_folder`, which nothing is read from after that); on error it is removed. What killed writers of `path`
    left behind is removed first, what living ones write is left alone.
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
    """A new folder beside `path`, locked for as long as this process lives in the block, and removed afterwards."""
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
    """Remove the folders of writers of `path` that are dead: the system has taken their locks away."""
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
    """Whether `folder` is there and was locked for the block, which nobody else did."""
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
    """Yield `path` as an empty folder of this run alone, whatever a killed run left there, and remove it afterwards.

    Raises:
        LockedError: another run is at work there.
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
    """As `sha256_of`, read once for as long as the file keeps its size and its time; remembered in a file beside it."""
    facts = path.stat()
    beside = path.with_name(f"{path.name}.sha256.json")
    state = {"bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}
    # What cannot be read is not remembered.
    with contextlib.suppress(OSError, ValueError):
        remembered = json.loads(beside.read_text(encoding="utf-8"))
        if isinstance(remembered, dict) and {**remembered, **state} == remembered and "sha256" in remembered:
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
    """Hold an exclusive lock on `path` while the block runs.

    Raises:
        LockedError: another process held the lock for all of `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    message = f"{path} is locked by another process; wait for that run to end, or stop it"
                    raise LockedError(message) from None
                time.sleep(0.2)
        yield
