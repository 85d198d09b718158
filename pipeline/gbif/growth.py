"""Whether a run would fetch something new: what the source holds now, against what was fetched last."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.settings import Settings
from pipeline.gbif.client import validator_of
from pipeline.gbif.observation import Observation, file_version
from pipeline.gbif.source import SourceRecord


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Whether a run is worth it.

    Attributes:
        said: What was found, in one line.
        key: Names what is new, so that it starts one run, whatever becomes of that run; None where a run would fetch
            nothing new. Growth of a scope has another key only after a further `refresh.growth`, or against another
            download; an archive or a folder whenever it differs.
    """

    said: str
    key: str | None = None


def growth_of(settings: Settings, seen: Observation, *, today: dt.date) -> Growth:
    """Compare what the source holds now with what was fetched last.

    Args:
        settings: The configuration.
        seen: What the source holds now.
        today: In UTC: a search is made once a day.

    Raises:
        GbifError: another version of NatureWatch wrote down what was fetched.
    """
    if not settings.paths.current_download.exists():
        return Growth(said="nothing was fetched yet: the first run is started by a person")
    record = SourceRecord.read(settings.paths)
    if record.mode != settings.source.mode:
        return Growth(said=f"the last run fetched a {record.mode}, the configuration says {settings.source.mode}")
    match settings.source.mode:
        case "archive":
            return _archive(settings, seen, fetched=settings.paths.data_root / record.archive)
        case "folder":
            if seen.version == record.fingerprint:
                return Growth(said="the table and its photographs are as they were when they were read")
            return Growth(said="the table or its photographs have changed since they were read", key=seen.version)
        case _:
            return _scope(settings, seen, record=record, today=today)


def _scope(settings: Settings, seen: Observation, *, record: SourceRecord, today: dt.date) -> Growth:
    """Growth of what GBIF counts."""
    if settings.source.download_key is not None:
        return Growth(said=f"source.download_key names {settings.source.download_key}: no other download is asked for")
    before, now = record.total_records or 0, seen.records or 0
    said = f"{now:,} records now, {before:,} in the last download"
    share = (now - before) / before if before else float(now > 0)
    # A billionth: 1 % more is 1 % more, also in binary fractions.
    steps = int(share / settings.refresh.growth + 1e-9)
    if steps < 1:
        return Growth(said=said)
    if record.mode == "search" and record.key.endswith(f"-{today:%Y%m%d}"):
        return Growth(said=f"{said}; the scope was searched today, and is searched once a day")
    return Growth(said=said, key=f"{record.key}+{steps}")


def _archive(settings: Settings, seen: Observation, *, fetched: Path) -> Growth:
    """Whether another archive is there than the one at `fetched`."""
    given = settings.source.archive or ""
    if not given.startswith(("http://", "https://")):
        # What was fetched has the time of what it was copied from.
        same = fetched.exists() and seen.version == file_version(fetched)
    else:
        validator = validator_of(fetched)
        known = validator.read_text(encoding="utf-8") if validator.exists() else None
        if known == "":
            return Growth(
                said="the archive's host does not say when it changes: remove the fetched one to fetch it again"
            )
        same = known is not None and seen.version.startswith(f"{known}, ")
    if same:
        return Growth(said="the archive is the one that was fetched")
    return Growth(said="there is another archive than the one that was fetched", key=seen.version)
