"""The journal of fetches and the ledger folded from it: what became of each photograph, and what to ask for again."""

import datetime as dt
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.paths import Paths
from pipeline.photos.verify import Status
from pipeline.query import to_parquet
from pipeline.rejections import write_rejections

FLUSH_SECONDS: Final = 0.5
"""A kill loses at most this much of the journal; the photographs themselves are stored before they are recorded."""
RECONSIDER: Final = dt.timedelta(days=30)
"""A permanent failure is not asked for again before this."""
LONGEST_LINE: Final = 1 << 20
"""Bytes; no line of the journal is longer."""

_TEXT, _INT, _BIG = pa.string(), pa.int32(), pa.int64()
_SCHEMA = pa.schema(
    {
        "photo_id": _TEXT, "url": _TEXT, "status": _TEXT, "http_status": _INT, "sha256": _TEXT, "bytes": _BIG,
        "width": _INT, "height": _INT, "path": _TEXT, "attempts": _INT, "error": _TEXT, "fetched_at": _TEXT,
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One line of the journal: a photograph that was asked for until its outcome was known."""

    photo_id: str
    url: str
    status: Status
    attempts: int
    fetched_at: str
    http_status: int | None = None
    sha256: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    path: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A photograph to ask for."""

    photo_id: str
    url: str


class Journal:
    """Append-only JSON lines; a context manager that mends a line torn by a kill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: TextIO | None = None
        self._flushed = 0.0

    def __enter__(self) -> Self:
        """Open for appending."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(self._path)
        self._stream = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        """Flush and close."""
        if self._stream is not None:
            self._stream.close()

    def append(self, outcome: Outcome) -> None:
        """Record one outcome."""
        if self._stream is None:
            raise RuntimeError("the journal is not open")
        self._stream.write(
            json.dumps({name: getattr(outcome, name) for name in _SCHEMA.names}, separators=(",", ":")) + "\n"
        )
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self._stream is not None:
            self._stream.flush()
            self._flushed = time.monotonic()


def _cut_torn_line(path: Path) -> None:
    """Cut off a last line without its end: its photograph is asked for again."""
    if not path.exists():
        return
    with path.open("rb+") as stream:
        end = stream.seek(0, os.SEEK_END)
        start = max(0, end - LONGEST_LINE)
        stream.seek(start)
        stream.truncate(start + stream.read().rfind(b"\n") + 1)


def read_journal(path: Path) -> dict[str, Outcome]:
    """The last outcome of each photograph; a line torn by a kill is not an outcome."""
    outcomes: dict[str, Outcome] = {}
    if not path.exists():
        return outcomes
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                outcome = Outcome(**json.loads(line))
            except (json.JSONDecodeError, TypeError):
                continue
            outcomes[outcome.photo_id] = outcome
    return outcomes


def missing(paths: Paths, known: dict[str, Outcome]) -> Iterator[Wanted]:
    """The photographs of the index that have to be asked for, in the order of the index."""
    now = dt.datetime.now(tz=dt.UTC)
    index = pq.ParquetFile(paths.table("photo_index"))
    for batch in index.iter_batches(batch_size=20_000, columns=["photo_id", "url"]):
        for photo_id, url in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if not _settled(paths, known.get(photo_id), url=url, now=now):
                yield Wanted(photo_id=photo_id, url=url)


def _settled(paths: Paths, outcome: Outcome | None, *, url: str, now: dt.datetime) -> bool:
    if outcome is None or outcome.url != url or outcome.status == "failed":
        return False
    if outcome.status == "ok":
        if outcome.path is None:
            return False
        stored = paths.data_root / outcome.path
        # After a loss of power a file may be there without its bytes.
        return stored.exists() and stored.stat().st_size == outcome.bytes
    return now - dt.datetime.fromisoformat(outcome.fetched_at) < RECONSIDER


def fold(paths: Paths, outcomes: dict[str, Outcome]) -> Path:
    """Write `photos.parquet`, one row per photograph of the index, and the rejections of stage `photos`."""
    columns = {
        field.name: pa.array([getattr(outcome, field.name) for outcome in outcomes.values()], field.type)
        for field in _SCHEMA
    }
    inputs = {"photo_index": paths.table("photo_index"), "outcomes": pa.table(columns, schema=_SCHEMA)}
    ledger = to_parquet("photos", inputs=inputs, output=paths.table("photos"))
    rejected = to_parquet(
        "photos_rejections", inputs={"photos": ledger}, output=paths.tables / ".photos_rejected.parquet"
    )
    write_rejections(paths, "photos", pq.read_table(rejected))
    rejected.unlink()
    return ledger
