"""GBIF's asynchronous download: ask once, wait, fetch, verify. Every part is gone on with after a restart.

A key is remembered in `request.json` as soon as GBIF gives it; one that GBIF gave to a run that died before it could
write it down is found again in the user's list of downloads.
"""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.config import COL_XR_CHECKLIST, SourceSettings
from pipeline.errors import ArchiveError, GbifError
from pipeline.files import write_json
from pipeline.gbif.archive import verify_members
from pipeline.gbif.http import Api, BusyError, NotFoundError, validator_of
from pipeline.gbif.scope import predicate

FRESH: Final = dt.timedelta(days=6)
"""A download younger than this is gone on with; the weekly refresh asks for a new one."""
MOST_UNFINISHED: Final = 3
"""Downloads that GBIF prepares for one user at a time."""
LISTED: Final = 100
"""The user's latest downloads that are looked through for one to go on with."""
LONGEST_BUSY: Final = 12 * 3600.0
"""Seconds that GBIF may be too busy to accept a download; a large one takes it up to three hours."""
UNFINISHED: Final = frozenset({"PREPARING", "RUNNING", "SUSPENDED"})
SUCCEEDED: Final = "SUCCEEDED"

Log = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Download:
    """A finished download."""

    key: str
    status: Mapping[str, Any]
    """GBIF's document about it."""
    archive: Path


def fetch_download(source: SourceSettings, *, api: Api, folder: Path, log: Log) -> Download:
    """Ask for the scope's download, or go on with the one that is on its way, and fetch it into `folder`.

    Raises:
        GbifError: GBIF refused, was busy for hours, or ended the download without an archive.
        ArchiveError: what came is damaged.
    """
    key = source.download_key or _remembered_key(folder, api=api)
    if key is None:
        key, said = _find_or_ask(source, api=api, log=log)
        _remember(folder, key)
        log(said)
    else:
        log(f"going on with GBIF download {key}")
    status = _awaited(api, key=key, log=log)
    kind = (status.get("request") or {}).get("format", "DWCA")
    if kind != "DWCA":
        raise GbifError(f"GBIF download {key} has the format {kind}, which carries no photographs; DWCA is needed")
    archive = fetch_archive(
        api,
        address=f"/occurrence/download/request/{key}.zip",
        target=folder / f"{key}.zip",
        size=int(status.get("size") or 0),
        log=log,
    )
    return Download(key=key, status=status, archive=archive)


def fetch_archive(api: Api, *, address: str, target: Path, log: Log, size: int = 0, may_change: bool = False) -> Path:
    """Fetch an archive, from where a former attempt ended, and verify every member.

    Args:
        api: The client.
        address: Where it is, below the API or anywhere.
        target: The file; one that is there was verified before.
        log: Told what was fetched.
        size: Bytes that GBIF announced; 0 when unknown.
        may_change: Whether the address may serve another archive one day: then the host is asked, also for one that
            is there, as far as it names versions (ETag, Last-Modified).

    Raises:
        GbifError: it could not be fetched.
        ArchiveError: it has another size, or is damaged; the next run fetches it anew.
    """
    if target.exists() and not (may_change and _superseded(api, address=address, target=target, log=log)):
        return target
    partial = target.with_name(f"{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    if not size or not partial.exists() or partial.stat().st_size < size:
        api.download(address, partial, size=size)
    found = partial.stat().st_size
    if size and found != size:
        partial.unlink()
        raise ArchiveError(f"{address} has {found:,} bytes, GBIF said {size:,}; start again to fetch it anew")
    try:
        verify_members(partial)
    except ArchiveError as error:
        partial.unlink()
        raise ArchiveError(f"{error}; start again to fetch it anew") from error
    partial.replace(target)
    # After the archive: a kill between the two leaves none, or a former one's, and the archive is fetched anew.
    if validator_of(partial).exists():
        validator_of(partial).replace(validator_of(target))
    log(f"fetched {target.name}, {found:,} bytes")
    return target


def _superseded(api: Api, *, address: str, target: Path, log: Log) -> bool:
    """Whether the archive that is here is not, or may not be, what the address serves today."""
    validator = validator_of(target)
    if not validator.exists():
        return True
    known = validator.read_text(encoding="utf-8")
    if not known:
        log(f"{address} does not say when it changes; keeping {target}: remove it to fetch it anew")
        return False
    return api.changed(address, known)


def _remembered_key(folder: Path, *, api: Api) -> str | None:
    """The key of a former run, when it is fresh and may still end, or ended, in an archive."""
    request = folder / "request.json"
    if not request.exists():
        return None
    remembered = json.loads(request.read_text(encoding="utf-8"))
    if dt.datetime.now(tz=dt.UTC) - dt.datetime.fromisoformat(remembered["requested_at"]) >= FRESH:
        return None
    key = str(remembered["key"])
    try:
        state = api.get_json(f"/occurrence/download/{key}").get("status")
    except NotFoundError:
        return None
    return key if state in {*UNFINISHED, SUCCEEDED} else None


def _remember(folder: Path, key: str) -> None:
    write_json(folder / "request.json", {"key": key, "requested_at": dt.datetime.now(tz=dt.UTC).isoformat()})


def _find_or_ask(source: SourceSettings, *, api: Api, log: Log) -> tuple[str, str]:
    """The key of this user's fresh download of the same scope, or of a new one, and what to tell."""
    if api.credentials is None:
        raise GbifError("asking GBIF for a download needs credentials")
    body = {
        "creator": api.credentials.user,
        "notificationAddresses": [api.credentials.email],
        "sendNotification": False,
        "format": "DWCA",
        "checklistKey": source.checklist_key,
        "predicate": predicate(source),
    }
    said = ""
    for pause in _pauses(api, until=time.monotonic() + LONGEST_BUSY):
        listed = _listed(api, user=api.credentials.user)
        for each in listed:
            if _is_ours(each, source):
                return str(each["key"]), f"going on with GBIF download {each['key']}, which this user asked for before"
        unfinished = [str(each["key"]) for each in listed if each.get("status") in UNFINISHED]
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


def _listed(api: Api, *, user: str) -> list[dict[str, Any]]:
    """The user's latest downloads, the last first."""
    parameters = {"limit": LISTED, "offset": 0}
    found = api.get_json(f"/occurrence/download/user/{user}", parameters, authenticated=True)
    return list(found.get("results") or ())


def _is_ours(listed: Mapping[str, Any], source: SourceSettings) -> bool:
    """Whether a listed download holds, or will hold, what the scope asks for, and is fresh."""
    request = listed.get("request") or {}
    # GBIF may leave out a checklist that is its default.
    checklist = request.get("checklistKey") or COL_XR_CHECKLIST
    created = listed.get("created")
    return (
        listed.get("status") in {*UNFINISHED, SUCCEEDED}
        and created is not None
        and dt.datetime.now(tz=dt.UTC) - dt.datetime.fromisoformat(str(created)) < FRESH
        and request.get("format") == "DWCA"
        and checklist == source.checklist_key
        and _plain(request.get("predicate")) == _plain(predicate(source))
    )


def _plain(value: object) -> object:
    """A predicate without what GBIF adds to it (`matchCase`: false) and without the order of its parts."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if (name, each) != ("matchCase", False)}
    if isinstance(value, list):
        return sorted((_plain(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value


def _awaited(api: Api, *, key: str, log: Log) -> dict[str, Any]:
    """Ask for the status, ever more rarely, until the archive is there."""
    said = ""
    for pause in _pauses(api):
        try:
            status: dict[str, Any] = api.get_json(f"/occurrence/download/{key}")
        except NotFoundError as error:
            raise GbifError(f"GBIF does not know the download {key}; check source.download_key ({error})") from error
        state = str(status.get("status"))
        if state != said:
            log(f"GBIF download {key}: {state}, {status.get('totalRecords', 0):,} records")
            said = state
        if state == SUCCEEDED:
            return status
        if state not in UNFINISHED:
            raise GbifError(f"GBIF ended download {key} with {state}; start again to ask for a new one")
        time.sleep(pause)
    raise AssertionError("the pauses never end")  # pragma: no cover


def _pauses(api: Api, *, until: float = float("inf")) -> Iterator[float]:
    """Seconds to wait before asking again: ever longer, up to what is polite."""
    pause, longest = api.poll_seconds
    while time.monotonic() < until:
        yield pause
        pause = min(pause * 1.5, longest)
