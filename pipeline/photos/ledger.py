"""What is known about every photograph: the journal while fetching, the ledger afterwards. Nothing is fetched here.

The journal has one JSON line per photograph that came to an end. Lines are only ever appended, so that a killed run
loses at most the photographs of its last half second; the ledger is the journal folded over the photo index.
"""

import contextlib
import datetime as dt
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from pipeline.config import PhotoSettings
from pipeline.errors import TableError
from pipeline.files import digest_of
from pipeline.paths import Paths
from pipeline.query import rows, to_parquet
from pipeline.rejections import write_rejections

ASK_AGAIN_AFTER: Final = dt.timedelta(days=30)
"""How long a permanent failure (gone, not_jpeg, corrupt, too_large, blocked) stands before it is asked for again."""

_JOURNAL: Final = pa.schema(
    [
        ("photo_id", pa.string()),
        ("url", pa.string()),
        ("status", pa.string()),
        ("http_status", pa.int32()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("attempts", pa.int32()),
        ("error", pa.string()),
        ("limits", pa.string()),
        ("fetched_at", pa.string()),
    ]
)
_STORED: Final = pa.schema([("sha256", pa.string()), ("bytes", pa.int64())])


def _now() -> str:
    """The moment in UTC, as DuckDB's TIMESTAMP reads it."""
    return dt.datetime.now(tz=dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How the fetch of one photograph ended: one line of the journal."""

    photo_id: str
    url: str
    status: str
    """ok, gone, not_jpeg, corrupt, too_large, blocked or failed."""
    http_status: int | None = None
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    attempts: int = 0
    error: str | None = None
    limits: str = ""
    fetched_at: str = field(default_factory=_now)


class Journal:
    """The journal, open for appending."""

    def __init__(self, stream: BinaryIO) -> None:
        """Append to `stream`."""
        self._stream = stream

    def append(self, entry: Entry) -> None:
        """Add a line; it is safe from a kill after the next `flush`."""
        self._stream.write(json.dumps(vars(entry), separators=(",", ":"), ensure_ascii=True).encode() + b"\n")

    def flush(self) -> None:
        """Hand all lines to the operating system."""
        self._stream.flush()


@contextlib.contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open the journal for appending; what a killed run left of its last line is cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(path)
    with path.open("ab", buffering=1 << 20) as stream:
        yield Journal(stream)


def limits_of(photos: PhotoSettings, hosts: tuple[str, ...]) -> str:
    """What `too_large` and `blocked` depend upon; such a verdict is void once this changes."""
    return digest_of(photos.max_bytes, photos.max_pixels, photos.allow_private_hosts, sorted(hosts))


def pending(paths: Paths, *, limits: str, output: Path) -> Path:
    """Write the photographs to ask for (photo_id, url) to `output`.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
    """
    _cut_torn_line(paths.fetch_journal)
    return to_parquet(
        "photos_pending",
        inputs={
            "photo_index": paths.table("photo_index"),
            "journal": read_journal(paths.fetch_journal),
            "stored": _stored(paths.photos),
        },
        output=output,
        limits=limits,
        asked_before=dt.datetime.now(tz=dt.UTC).replace(tzinfo=None) - ASK_AGAIN_AFTER,
    )


def fold(paths: Paths) -> dict[str, int]:
    """Write the ledger `photos.parquet` and the rejections of the stage `photos`.

    Returns:
        Photographs by status.

    Raises:
        TableError: the photo index is missing, or the journal is damaged.
    """
    ledger = to_parquet(
        "photos",
        inputs={"photo_index": paths.table("photo_index"), "journal": read_journal(paths.fetch_journal)},
        output=paths.table("photos"),
    )
    rejected = paths.data_root / "fetch" / "rejections.parquet"
    try:
        to_parquet("photos_rejections", inputs={"photos": ledger}, output=rejected)
        write_rejections(paths, "photos", pq.read_table(rejected))
    finally:
        rejected.unlink(missing_ok=True)
    return {row["status"]: row["photos"] for row in rows("photos_outcome", inputs={"photos": ledger})}


def read_journal(path: Path) -> pa.Table:
    """All lines of the journal, numbered from 0 in the column `line`; empty when there is none yet.

    Raises:
        TableError: a line cannot be read.
    """
    if not path.exists() or path.stat().st_size == 0:
        table = _JOURNAL.empty_table()
    else:
        options = pj.ParseOptions(explicit_schema=_JOURNAL, unexpected_field_behavior="ignore")
        try:
            table = pj.read_json(path, parse_options=options)
        except pa.ArrowInvalid as error:
            message = f"the journal of fetches {path} is damaged: {error}; remove the line, or the file to fetch anew"
            raise TableError(message) from error
    return table.append_column("line", pa.array(np.arange(table.num_rows, dtype=np.int64)))


def path_of(folder: Path, sha256: str) -> Path:
    """Where a body with this hash lies below `folder` (`Paths.photos`)."""
    return folder / sha256[:2] / f"{sha256}.jpg"


def store(folder: Path, *, sha256: str, content: bytes) -> None:
    """Write a body under its hash, atomically; safe to call from several threads."""
    target = path_of(folder, sha256)
    partial = target.with_name(f".{sha256}.{threading.get_ident()}.partial")
    try:
        stream = partial.open("wb")
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = partial.open("wb")
    with stream:
        stream.write(content)
    partial.replace(target)


def _stored(folder: Path) -> pa.Table:
    """Hash and size of every body on disk; what a killed run left half written is removed on the way."""
    hashes: list[str] = []
    sizes: list[int] = []
    for part in folder.iterdir() if folder.exists() else ():
        with os.scandir(part) as entries:
            for entry in entries:
                if entry.name.endswith(".partial"):
                    Path(entry.path).unlink()
                else:
                    hashes.append(entry.name.removesuffix(".jpg"))
                    sizes.append(entry.stat().st_size)
    return pa.table([hashes, sizes], schema=_STORED)


def _cut_torn_line(path: Path) -> None:
    """Cut off what follows the last line end."""
    if not path.exists():
        return
    with path.open("rb+") as stream:
        end = position = stream.seek(0, os.SEEK_END)
        while position > 0:
            start = max(0, position - (1 << 16))
            stream.seek(start)
            found = stream.read(position - start).rfind(b"\n")
            if found >= 0:
                position = start + found + 1
                break
            position = start
        if position < end:
            stream.truncate(position)
