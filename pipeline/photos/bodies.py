"""Photographs on disk, each under the SHA-256 of its bytes. No network, no verdicts; loads nothing heavy."""

import os
from pathlib import Path


def path_of(folder: Path, sha256: str) -> Path:
    """Where a body with this hash lies below `folder` (`Paths.photos`)."""
    return folder / sha256[:2] / f"{sha256}.jpg"


def store(folder: Path, *, sha256: str, content: bytes) -> None:
    """Write a body under its hash, atomically and once; safe to call from several processes.

    Raises:
        OSError: the body cannot be written.
    """
    # Plain strings and file descriptors: pathlib and buffered files cost as much as the HTTP request.
    target = f"{folder}/{sha256[:2]}/{sha256}.jpg"
    try:
        if os.stat(target).st_size == len(content):  # noqa: PTH116 (speed)
            return
    except FileNotFoundError:
        pass
    partial = f"{target}.{os.getpid()}.partial"
    try:
        _write(partial, content)
    except FileNotFoundError:
        Path(partial).parent.mkdir(parents=True, exist_ok=True)
        _write(partial, content)
    os.replace(partial, target)  # noqa: PTH105 (speed)


def size_of(folder: Path, sha256: str) -> int | None:
    """Bytes of the stored body with this hash; None where there is none."""
    try:
        return os.stat(f"{folder}/{sha256[:2]}/{sha256}.jpg").st_size  # noqa: PTH116 (speed)
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove_partials(folder: Path) -> None:
    """Remove what a killed run left half written below `folder`, which need not exist; nobody may be storing there."""
    for part in folder.iterdir() if folder.exists() else ():
        if part.is_dir():
            with os.scandir(part) as entries:
                for entry in entries:
                    if entry.name.endswith(".partial"):
                        Path(entry.path).unlink()


def _write(path: str, content: bytes) -> None:
    # Without O_TRUNC: ext4 would allocate the blocks of a truncated file when it is closed, which doubles the cost.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        # A killed process with the same number left it.
        Path(path).unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)
