"""Photographs on disk, each under the SHA-256 of its bytes. No network, no verdicts; imports nothing heavy."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PARTIAL: Final = ".partial"


def path_of(folder: Path, sha256: str) -> Path:
    """The file below `folder` (`Paths.photos`) that holds the body with this hash."""
    return folder / sha256[:2] / f"{sha256}.jpg"


def store(folder: Path, *, sha256: str, content: bytes) -> None:
    """Write a body under its hash, atomically and once. Safe to call from several processes.

    Raises:
        OSError: the body cannot be written.
    """
    target = path_of(folder, sha256)
    try:
        if target.stat().st_size == len(content):
            return
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}{_PARTIAL}")
    partial.write_bytes(content)
    partial.replace(target)


def stored(folder: Path) -> Iterator[tuple[str, int]]:
    """Hash and size in bytes of each body below `folder`, which need not exist.

    It removes the half-written files of a killed run on the way, so no other process may be storing.
    """
    for part in folder.iterdir() if folder.exists() else ():
        if not part.is_dir():
            continue
        with os.scandir(part) as entries:
            for entry in entries:
                if entry.name.endswith(_PARTIAL):
                    Path(entry.path).unlink()
                elif entry.is_file():
                    yield entry.name.removesuffix(".jpg"), entry.stat().st_size
