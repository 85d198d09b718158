"""GBIF's asynchronous download: request it once, wait, fetch, verify. A restarted run resumes at every step.

A key is written to `request.json` as soon as GBIF gives it. A key that was given to a run that was killed before that
is found again in the user's list of downloads. An archive that was fetched and verified is not requested again.
"""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ValidationError

from pipeline.archive.description import verify_archive
from pipeline.archive.members import DamagedArchiveError
from pipeline.config.settings import COL_XR_CHECKLIST, SourceSettings
from pipeline.errors import ArchiveError, GbifError
from pipeline.files import write_json
from pipeline.gbif.answers import DownloadList, DownloadStatus
from pipeline.gbif.client import Api, BusyError, NotFoundError, validator_of
from pipeline.gbif.scope import predicate

FRESH: Final = dt.timedelta(days=6)
"""By default, a download younger than this is used again; the weekly refresh requests a new one."""
MOST_UNFINISHED: Final = 3
"""Downloads that GBIF prepares for one user at a time."""
LISTED: Final = 100
"""How many of the user's latest downloads are searched for one to use."""
LONGEST_BUSY: Final = 12 * 3600.0
"""Seconds to wait for GBIF to accept a download; preparing a large one takes GBIF up to three hours."""
UNFINISHED: Final = frozenset({"PREPARING", "RUNNING", "SUSPENDED"})
SUCCEEDED: Final = "SUCCEEDED"
ERASED: Final = "FILE_ERASED"

Log = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Download:
    """A finished download."""

    key: str
    status: DownloadStatus
    archive: Path


class _Request(BaseModel):
    """`request.json`."""

    key: str
    requested_at: AwareDatetime


def remembered_key(source: SourceSettings, folder: Path, *, max_age: dt.timedelta = FRESH) -> str | None:
    """The download to use: the configured one, or one that was requested into `folder` no longer ago than `max_age`."""
    if source.download_key is not None:
        return source.download_key
    request = folder / "request.json"
    if not request.exists():
        return None
    try:
        remembered = _Request.model_validate_json(request.read_bytes())
    except ValidationError:
        # Written by another version; the key is also in GBIF's list of the user's downloads.
        return None
    fresh = dt.datetime.now(tz=dt.UTC) - remembered.requested_at < max_age
    return remembered.key if fresh else None


def fetch_download(
    source: SourceSettings, *, api: Api, folder: Path, log: Log, max_age: dt.timedelta = FRESH
) -> Download:
    """Request the scope's download, or resume one no older than `max_age`, and fetch it into `folder`.

    Raises:
        GbifError: GBIF refused, was busy for hours, or ended the download without an archive.
        ArchiveError: what came is damaged.
    """
    key = remembered_key(source, folder, max_age=max_age)
    if key is not None and source.download_key is None and not _may_succeed(api, key):
        key = None
    if key is None:
        key, said = _find_or_ask(source, api=api, log=log, max_age=max_age)
        _remember(folder, key)
        log(said)
    else:
        log(f"going on with GBIF download {key}")
    status = _awaited(api, key=key, given=source.download_key is not None, log=log)
    if status.request.format != "DWCA":
        raise GbifError(
            f"GBIF download {key} has the format {status.request.format}, which carries no photographs; DWCA is needed"
        )
    archive = fetch_archive(
        api,
        address=f"/occurrence/download/request/{key}.zip",
        target=folder / f"{key}.zip",
        size=status.size,
        log=log,
    )
    return Download(key=key, status=status, archive=archive)


def fetch_archive(api: Api, *, address: str, target: Path, log: Log, size: int = 0, may_change: bool = False) -> Path:
    """Fetch an archive, resuming an earlier attempt, and verify the files in it that are read.

    Args:
        api: The client.
        address: A path below the API, or a whole address.
        target: The file; if it exists, it was verified before.
        log: Receives a line about what was fetched.
        size: Bytes that GBIF announced; 0 when unknown.
        may_change: Whether the address may serve another archive later. Then the host is asked, if it states versions
            (ETag, Last-Modified), whether an existing file is current. An existing file stays in use if the host does
            not answer or no longer serves it.

    Raises:
        GbifError: it could not be fetched.
        ArchiveError: it has another size, is damaged, or lacks what is needed; the next run fetches it again.
    """
    if not target.exists():
        return _fetched(api, address=address, target=target, log=log, size=size)
    if not may_change:
        return target
    try:
        if _superseded(api, address=address, target=target, log=log):
            return _fetched(api, address=address, target=target, log=log, size=size)
    except GbifError as error:
        log(f"{error}; going on with {target}, which was fetched and verified before")
    return target


def _fetched(api: Api, *, address: str, target: Path, log: Log, size: int) -> Path:
    """The archive of an address, moved to `target` once it is complete."""
    partial = target.with_name(f"{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    if not size or not partial.exists() or partial.stat().st_size < size:
        api.download(address, partial, size=size)
    found = partial.stat().st_size
    if size and found != size:
        partial.unlink()
        raise ArchiveError(f"{address} has {found:,} bytes, GBIF said {size:,}; start again to fetch it again")
    try:
        verify_archive(partial)
    except ArchiveError as error:
        partial.unlink()
        advice = "; start again to fetch it again" if isinstance(error, DamagedArchiveError) else ""
        raise ArchiveError(f"{address}: {error}{advice}") from error
    partial.replace(target)
    # After the archive: a kill between the two leaves no validator, or an older one, and the archive is fetched again.
    if validator_of(partial).exists():
        validator_of(partial).replace(validator_of(target))
    log(f"fetched {target.name}, {found:,} bytes")
    return target


def _superseded(api: Api, *, address: str, target: Path, log: Log) -> bool:
    """Whether the address serves, or may serve, another archive than the one at `target`."""
    validator = validator_of(target)
    if not validator.exists():
        return True
    known = validator.read_text(encoding="utf-8")
    if not known:
        log(f"{address} does not say when it changes; keeping {target}: remove it to fetch it again")
        return False
    return api.changed(address, known)


def _may_succeed(api: Api, key: str) -> bool:
    """Whether a download has ended, or may still end, in an archive."""
    try:
        return api.get(f"/occurrence/download/{key}", DownloadStatus).status in {*UNFINISHED, SUCCEEDED}
    except NotFoundError:
        return False


def _remember(folder: Path, key: str) -> None:
    write_json(folder / "request.json", {"key": key, "requested_at": dt.datetime.now(tz=dt.UTC).isoformat()})


def _find_or_ask(source: SourceSettings, *, api: Api, log: Log, max_age: dt.timedelta) -> tuple[str, str]:
    """The key of this user's recent download of the same scope, or of a new one, and a line for the log."""
    account = api.account()
    body = {
        "creator": account.user,
        "notificationAddresses": [account.email],
        "sendNotification": False,
        "format": "DWCA",
        "checklistKey": source.checklist_key,
        "predicate": predicate(source),
    }
    said = ""
    for pause in _pauses(api, until=time.monotonic() + LONGEST_BUSY):
        listed = _listed(api, user=account.user)
        for each in listed:
            if _is_ours(each, source, max_age=max_age):
                return each.key, f"going on with GBIF download {each.key}, which this user asked for before"
        unfinished = [each.key for each in listed if each.status in UNFINISHED]
        if len(unfinished) >= MOST_UNFINISHED:
            reason, wait = f"{len(unfinished)} downloads of this user are unfinished: {', '.join(unfinished)}", pause
        else:
            try:
                key = api.post_json("/occurrence/download/request", body).strip()
            except BusyError as error:
                reason, wait = str(error), pause if error.wait is None else error.wait
            else:
                if not key or "/" in key or len(key) > 100:
                    raise GbifError(f"GBIF answered {key[:100]!r} where a download key was expected")
                return key, f"asked GBIF for download {key}"
        if reason != said:
            log(f"waiting until GBIF accepts another download: {reason}")
            said = reason
        time.sleep(wait)
    raise GbifError(f"GBIF accepted no download in {LONGEST_BUSY / 3600:.0f} hours: {said}; start again later")


def _listed(api: Api, *, user: str) -> tuple[DownloadStatus, ...]:
    """The user's latest downloads, the last first."""
    path = f"/occurrence/download/user/{quote(user, safe='', errors='surrogateescape')}"
    return api.get(path, DownloadList, {"limit": LISTED, "offset": 0}, authenticated=True).results


def _is_ours(listed: DownloadStatus, source: SourceSettings, *, max_age: dt.timedelta = FRESH) -> bool:
    """Whether a listed download holds, or will hold, the records of the scope, and is no older than `max_age`."""
    # GBIF may leave out its default checklist.
    checklist = listed.request.checklist_key or COL_XR_CHECKLIST
    return (
        listed.status in {*UNFINISHED, SUCCEEDED}
        and _is_fresh(listed.created, max_age=max_age)
        and listed.request.format == "DWCA"
        and checklist == source.checklist_key
        and _plain(listed.request.predicate) == _plain(predicate(source))
    )


def _is_fresh(created: str | None, *, max_age: dt.timedelta) -> bool:
    try:
        moment = dt.datetime.fromisoformat(created or "")
    except ValueError:
        return False
    return dt.datetime.now(tz=dt.UTC) - (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) < max_age


def _plain(value: object) -> object:
    """A predicate without what GBIF adds (`matchCase`: false), its parts in a fixed order."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if (name, each) != ("matchCase", False)}
    if isinstance(value, list):
        return sorted((_plain(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value


def _awaited(api: Api, *, key: str, given: bool, log: Log) -> DownloadStatus:
    """Ask for the status, at growing intervals, until the archive is ready."""
    said = ""
    way_out = "give another source.download_key, or none to ask for a new download" if given else "start again"
    for pause in _pauses(api):
        try:
            status = api.get(f"/occurrence/download/{key}", DownloadStatus)
        except NotFoundError as error:
            raise GbifError(f"GBIF does not know the download {key}; check source.download_key ({error})") from error
        if status.status != said:
            log(f"GBIF download {key}: {status.status}, {status.total_records or 0:,} records")
            said = status.status
        if status.status == SUCCEEDED:
            return status
        if status.status == ERASED:
            raise GbifError(f"GBIF has erased the file of download {key}, and there is no copy here; {way_out}")
        if status.status not in UNFINISHED:
            raise GbifError(f"GBIF ended download {key} with {status.status}; {way_out}")
        time.sleep(pause)
    raise AssertionError("the pauses never end")  # pragma: no cover


def _pauses(api: Api, *, until: float = float("inf")) -> Iterator[float]:
    """Seconds to wait before asking again, growing up to the longest pause."""
    pause, longest = api.poll_seconds
    while time.monotonic() < until:
        yield pause
        pause = min(pause * 1.5, longest)
