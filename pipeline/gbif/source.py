"""Brings the raw occurrences of the scope to this machine, by one of four modes, and records where they came from.

Nothing is interpreted here: `pipeline.gbif.tables` reads what this module fetched.
"""

import datetime as dt
import gzip
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict

from pipeline.config import Settings
from pipeline.errors import ArchiveError, GbifError
from pipeline.files import atomic_path, digest_of, exclusive, sha256_of, write_json
from pipeline.gbif.http import Api, NotFoundError
from pipeline.gbif.scope import predicate, search_parameters
from pipeline.paths import Paths

PAGE: Final = 300
"""Records per page, GBIF's maximum."""
SEARCH_LIMIT: Final = 100_000
"""GBIF serves no search beyond this offset."""
FRESH: Final = dt.timedelta(days=6)
"""A download younger than this is gone on with; the weekly refresh asks for a new one."""

Log = Callable[[str], object]


class SourceRecord(BaseModel):
    """`download.json`: the raw answer that the tables are built from, and how to cite it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["replica", "search", "download", "archive"]
    key: str
    """GBIF's download key; for searches and archives a content hash."""
    doi: str | None = None
    citation: str | None = None
    licence: str | None = None
    created: str | None = None
    total_records: int | None = None
    predicate: dict[str, object]
    checklist_key: str
    archive: str
    """The file, relative to `data_root`: a Darwin Core Archive, or gzipped JSON lines for searches."""
    sha256: str

    @classmethod
    def read(cls, paths: Paths) -> Self:
        """Read `download.json`.

        Raises:
            GbifError: nothing was fetched yet.
        """
        if not paths.current_download.exists():
            raise GbifError(f"{paths.current_download} is missing; materialise the asset gbif_download")
        return cls.model_validate_json(paths.current_download.read_text(encoding="utf-8"))

    def citation_facts(self) -> dict[str, str]:
        """What travels in the footer of `occurrences.parquet`, so that the table can be cited wherever it goes."""
        facts = {"gbif_download_key": self.key, "gbif_doi": self.doi, "citation": self.citation}
        return {name: value for name, value in facts.items() if value is not None}


def fetch_source(settings: Settings, *, api: Api, log: Log) -> SourceRecord:
    """Fetch the scope's occurrences, or find them fetched, and write `download.json`.

    Raises:
        GbifError: GBIF refused or failed.
        ArchiveError: what came is no usable archive.
        LockedError: another run is fetching into the same folder.
    """
    with exclusive(settings.paths.downloads / ".lock"):
        match settings.source.mode:
            case "search":
                record = _search(settings, api=api, log=log)
            case "archive":
                record = _archive(settings, api=api, log=log)
            case "download" | "replica":
                record = _download(settings, api=api, log=log)
        write_json(settings.paths.current_download, record.model_dump(mode="json"))
    return record


def _download(settings: Settings, *, api: Api, log: Log) -> SourceRecord:
    """GBIF's asynchronous download: ask, wait, fetch; each part is gone on with after a restart."""
    folder = settings.paths.downloads / _scope_hash(settings)
    key = _remembered_key(folder)
    status = _status(api, key) if key is not None else None
    if key is None or status is None:
        key = _request(settings, api=api, folder=folder)
        log(f"asked GBIF for download {key}")
    else:
        log(f"going on with GBIF download {key}")
    status = _wait(api, key=key, log=log)
    archive = _fetch_archive(
        api,
        address=f"/occurrence/download/request/{key}.zip",
        target=folder / f"{key}.zip",
        size=int(status.get("size") or 0),
        log=log,
    )
    return SourceRecord(
        mode=settings.source.mode,
        key=key,
        doi=status.get("doi"),
        citation=_citation(api, key=key, doi=status.get("doi")),
        licence=status.get("license"),
        created=status.get("created"),
        total_records=status.get("totalRecords"),
        predicate=predicate(settings.source),
        checklist_key=settings.source.checklist_key,
        archive=str(archive.relative_to(settings.paths.data_root)),
        sha256=sha256_of(archive),
    )


def _scope_hash(settings: Settings) -> str:
    """What distinguishes one download from another: the predicate, and in replica mode what the replica serves."""
    replica = settings.source.replica if settings.source.mode == "replica" else None
    photos = sha256_of(replica.photos) if replica is not None and replica.photos is not None else None
    release = replica.release if replica is not None else None
    return digest_of(predicate(settings.source), settings.source.checklist_key, settings.source.mode, photos, release)


def _remembered_key(folder: Path) -> str | None:
    """The key of a download that is still fresh."""
    request = folder / "request.json"
    if not request.exists():
        return None
    remembered = json.loads(request.read_text(encoding="utf-8"))
    age = dt.datetime.now(tz=dt.UTC) - dt.datetime.fromisoformat(remembered["requested_at"])
    return str(remembered["key"]) if age < FRESH else None


def _request(settings: Settings, *, api: Api, folder: Path) -> str:
    """Ask for a download and remember its key before anything else."""
    credentials = api.credentials
    if credentials is None:
        raise GbifError("asking GBIF for a download needs credentials")
    body = {
        "creator": credentials.user,
        "notificationAddresses": [credentials.email],
        "sendNotification": False,
        "format": "DWCA",
        "checklistKey": settings.source.checklist_key,
        "predicate": predicate(settings.source),
    }
    key = api.post_json("/occurrence/download/request", body).strip()
    if not key or "/" in key or len(key) > 100:
        raise GbifError(f"GBIF answered {key[:100]!r} where a download key was expected")
    write_json(folder / "request.json", {"key": key, "requested_at": dt.datetime.now(tz=dt.UTC).isoformat()})
    return key


def _status(api: Api, key: str) -> dict[str, Any] | None:
    """GBIF's document about a download; None when GBIF does not know it, or it ended without an archive."""
    try:
        status: dict[str, Any] = api.get_json(f"/occurrence/download/{key}")
    except NotFoundError:
        return None
    return None if status.get("status") in {"CANCELLED", "KILLED", "FAILED", "FILE_ERASED"} else status


def _wait(api: Api, *, key: str, log: Log) -> dict[str, Any]:
    """Ask for the status, ever more rarely, until the archive is there."""
    pause, longest = api.poll_seconds
    said = ""
    while True:
        status: dict[str, Any] = api.get_json(f"/occurrence/download/{key}")
        state = str(status.get("status"))
        if state != said:
            log(f"GBIF download {key}: {state}, {status.get('totalRecords', 0):,} records")
            said = state
        if state == "SUCCEEDED":
            return status
        if state not in {"PREPARING", "RUNNING", "SUSPENDED"}:
            raise GbifError(f"GBIF ended download {key} with {state}; start again to ask for a new one")
        time.sleep(pause)
        pause = min(pause * 1.5, longest)


def _fetch_archive(api: Api, *, address: str, target: Path, size: int, log: Log) -> Path:
    """Fetch an archive, from where a former attempt ended, and verify it."""
    if target.exists():
        return target
    partial = target.with_name(f"{target.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    if not size or not partial.exists() or partial.stat().st_size < size:
        api.download(address, partial)
    found = partial.stat().st_size
    if size and found != size:
        partial.unlink()
        raise ArchiveError(f"{address} has {found:,} bytes, GBIF said {size:,}; start again to fetch it anew")
    _check_zip(partial)
    partial.replace(target)
    log(f"fetched {target.name}, {found:,} bytes")
    return target


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except zipfile.BadZipFile as error:
        path.unlink()
        raise ArchiveError(f"{path} is no zip archive ({error}); start again to fetch it anew") from error
    if broken is not None:
        path.unlink()
        raise ArchiveError(f"{path}: the member {broken} is damaged; start again to fetch it anew")


def _citation(api: Api, *, key: str, doi: object) -> str | None:
    """GBIF's own citation of the download; without a DOI there is none."""
    if not doi:
        return None
    return api.get_text(f"/occurrence/download/{key}/citation").strip() or None


def _search(settings: Settings, *, api: Api, log: Log) -> SourceRecord:
    """All pages of a search, for scopes of up to 100,000 records."""
    parameters = search_parameters(settings.source)
    name = f"search-{_scope_hash(settings)}-{dt.datetime.now(tz=dt.UTC):%Y%m%d}"
    target = settings.paths.downloads / name / "records.jsonl.gz"
    if not target.exists():
        with atomic_path(target) as partial, gzip.GzipFile(partial, "wb", mtime=0) as stream:
            offset = 0
            while True:
                page = api.get_json("/occurrence/search", {**parameters, "limit": PAGE, "offset": offset})
                if page["count"] > SEARCH_LIMIT:
                    raise GbifError(
                        f"the scope has {page['count']:,} records, a search serves {SEARCH_LIMIT:,}; "
                        "use source.mode download"
                    )
                stream.writelines(json.dumps(item, sort_keys=True).encode() + b"\n" for item in page["results"])
                offset += len(page["results"])
                log(f"searched {offset:,} of {page['count']:,} records")
                if page["endOfRecords"] or not page["results"]:
                    break
    with gzip.open(target, "rb") as lines:
        total = sum(1 for _ in lines)
    return SourceRecord(
        mode="search",
        key=name,
        total_records=total,
        predicate=dict(parameters),
        checklist_key=settings.source.checklist_key,
        archive=str(target.relative_to(settings.paths.data_root)),
        sha256=sha256_of(target),
    )


def _archive(settings: Settings, *, api: Api, log: Log) -> SourceRecord:
    """A Darwin Core Archive on disk or at an address."""
    given = settings.source.archive
    if given is None:
        raise GbifError("source.mode archive needs source.archive: a path or an http(s) address")
    target = settings.paths.downloads / f"archive-{digest_of(given)}" / "archive.zip"
    if given.startswith(("http://", "https://")):
        _fetch_archive(api, address=given, target=target, size=0, log=log)
    else:
        source = Path(given)
        if not source.is_file():
            raise ArchiveError(f"there is no archive at {source.absolute()}; check source.archive")
        _check_zip_in_place(source)
        with atomic_path(target) as partial:
            shutil.copyfile(source, partial)
    digest = sha256_of(target)
    return SourceRecord(
        mode="archive",
        key=f"archive-{digest[:16]}",
        predicate={},
        checklist_key=settings.source.checklist_key,
        archive=str(target.relative_to(settings.paths.data_root)),
        sha256=digest,
    )


def _check_zip_in_place(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise ArchiveError(f"{path} is no zip archive; source.archive must be a Darwin Core Archive")
