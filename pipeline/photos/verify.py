"""Whether a body is a whole JPEG within the limits, and storing it under its content. Runs in threads."""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import simplejpeg

from pipeline.errors import NatureWatchError

Status = Literal["ok", "gone", "not_jpeg", "corrupt", "too_large", "blocked", "failed"]
"""What became of a photograph; the ledger's column."""


class PhotoProblemError(Exception):
    """A photograph cannot be used, and asking again will not help soon."""

    def __init__(self, status: Status, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.status: Status = status
        self.http_status = http_status


class StorageError(NatureWatchError):
    """A photograph cannot be written: the disk is full, or the folder cannot be written to."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A verified photograph on disk; width and height in pixels, path relative to the data root."""

    sha256: str
    bytes: int
    width: int
    height: int
    path: str


def verify(body: bytes, *, max_pixels: int) -> tuple[int, int]:
    """Decode the whole stream, scaled down eightfold, and return width and height in pixels.

    Raises:
        PhotoProblemError: no JPEG, more pixels than allowed (told from the header), or a damaged stream.
    """
    if not body.startswith(b"\xff\xd8\xff"):
        raise PhotoProblemError("not_jpeg", f"the body begins with {body[:16]!r}, not with a JPEG marker")
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(body, strict=True)
    except ValueError as error:
        raise PhotoProblemError("corrupt", f"the header cannot be read: {error}") from error
    if width * height > max_pixels:
        raise PhotoProblemError("too_large", f"{width} x {height} pixels, {max_pixels:,} are allowed")
    target = "CMYK" if colorspace in {"CMYK", "YCCK"} else "Gray"
    try:
        simplejpeg.decode_jpeg(body, target, fastdct=True, min_height=1, min_width=1, min_factor=1, strict=True)
    except ValueError as error:
        raise PhotoProblemError("corrupt", f"the stream is damaged: {error}") from error
    return int(width), int(height)


def store(body: bytes, *, data_root: Path, folder: Path, max_pixels: int) -> Stored:
    """Verify a body and store it as `<folder>/<aa>/<sha256>.jpg`, atomically; equal bytes are stored once.

    Raises:
        PhotoProblemError: as `verify`.
        StorageError: the disk is at fault; the photograph is not.
    """
    width, height = verify(body, max_pixels=max_pixels)
    digest = hashlib.sha256(body).hexdigest()
    target = folder / digest[:2] / f"{digest}.jpg"
    try:
        if not target.exists() or target.stat().st_size != len(body):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{digest}.{os.getpid()}-{threading.get_ident()}.partial")
            partial.write_bytes(body)
            partial.replace(target)
    except OSError as error:
        raise StorageError(f"cannot store a photograph as {target}: {error}; mend the disk and start again") from error
    return Stored(sha256=digest, bytes=len(body), width=width, height=height, path=str(target.relative_to(data_root)))


def clear_partials(folder: Path) -> None:
    """Remove what a kill left half written below `folder`; only for the one process that fetches."""
    for partial in folder.glob("*/.*.partial"):
        partial.unlink()
