"""Brings the raw occurrences of the scope to this machine, by one of five modes, and records where they came from.

Nothing is interpreted here: `pipeline.gbif.tables` reads what this module fetched.
"""

import datetime as dt
import gzip
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from pipeline.config import Settings
from pipeline.errors import ArchiveError, GbifError
from pipeline.files import atomic_path, digest_of, exclusive, remembered_sha256, sha256_of, write_json
from pipeline.folder.records import CHECKLIST
from pipeline.folder.snapshot import take_snapshot
from pipeline.gbif.download import Log, fetch_archive, fetch_download
from pipeline.gbif.http import Api
from pipeline.gbif.metadata import read_provenance
from pipeline.gbif.scope import predicate, search_parameters
from pipeline.paths import Paths

PAGE: Final = 300
"""Records per page, GBIF's maximum."""
SEARCH_LIMIT: Final = 100_000
"""GBIF serves no search beyond this offset."""


class SourceRecord(BaseModel):
    """`download.json`: the raw answer that the tables are built from, and how to cite it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["replica", "search", "download", "archive", "folder"]
    key: str
    """GBIF's download key, also of an archive that names it; for searches and other archives a content hash."""
    doi: str | None = None
    citation: str | None = None
    origin: str | None = None
    """What to say of the source in the place of a citation of GBIF's, where there is none or it is the replica's."""
    licence: str | None = None
    created: str | None = None
    total_records: int | None = None
    predicate: dict[str, object]
    checklist_key: str | None
    """The taxonomy of names and keys; None where the source does not say: its keys do (`pipeline.gbif.tables`)."""
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
        key = None if self.mode == "folder" else self.key
        facts = {"gbif_download_key": key, "gbif_doi": self.doi, "citation": self.citation, "origin": self.origin}
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
            case "folder":
                record = _folder(settings, log=log)
            case "download" | "replica":
                record = _download(settings, api=api, log=log)
        write_json(settings.paths.current_download, record.model_dump(mode="json"))
    return record


def _download(settings: Settings, *, api: Api, log: Log) -> SourceRecord:
    """GBIF's asynchronous download of the scope, or the one that the configuration names."""
    folder = settings.paths.downloads / (settings.source.download_key or _scope_hash(settings))
    found = fetch_download(settings.source, api=api, folder=folder, log=log)
    request = found.status.get("request") or {}
    given = settings.source.download_key is not None
    doi = found.status.get("doi")
    return SourceRecord(
        mode=settings.source.mode,
        key=found.key,
        doi=doi,
        citation=_citation(api, key=found.key, doi=doi),
        origin=_replica_origin(settings) if settings.source.mode == "replica" else None,
        licence=found.status.get("license"),
        created=found.status.get("created"),
        total_records=found.status.get("totalRecords"),
        predicate=(request.get("predicate") or {}) if given else predicate(settings.source),
        checklist_key=request.get("checklistKey") if given else settings.source.checklist_key,
        archive=str(found.archive.relative_to(settings.paths.data_root)),
        sha256=remembered_sha256(found.archive),
    )


def _scope_hash(settings: Settings) -> str:
    """What distinguishes one download from another: the predicate, and in replica mode what the replica serves."""
    replica = settings.source.replica if settings.source.mode == "replica" else None
    photos = sha256_of(replica.photos) if replica is not None and replica.photos is not None else None
    release = replica.release if replica is not None else None
    return digest_of(predicate(settings.source), settings.source.checklist_key, settings.source.mode, photos, release)


def _citation(api: Api, *, key: str, doi: object) -> str | None:
    """GBIF's own citation of the download; without a DOI there is none."""
    if not doi:
        return None
    return api.get_text(f"/occurrence/download/{key}/citation").strip() or None


def _replica_origin(settings: Settings) -> str:
    """What the replica's records are: its key, DOI and citation are as invented as they."""
    photos = settings.source.replica.photos
    if photos is None:
        return "the embedded sample of NatureWatch: organisms and records drawn in code, nothing of GBIF"
    return (
        f"photographs listed in {photos.name}, served by the embedded replica with records that it made up "
        "(places, dates, key and DOI): nothing of GBIF"
    )


def _folder(settings: Settings, *, log: Log) -> SourceRecord:
    """One's own photographs, as their table lists them now."""
    assert settings.source.folder is not None  # noqa: S101 (the configuration holds it against the mode)
    found = take_snapshot(settings.paths, settings.source.folder, log=log)
    return SourceRecord(
        mode="folder",
        key=f"folder-{found.content[:16]}",
        origin=f"own photographs listed in {settings.source.folder.name} (SHA-256 {found.table_sha256})",
        total_records=found.photographs,
        predicate={},
        checklist_key=CHECKLIST,
        archive=str(found.path.relative_to(settings.paths.data_root)),
        sha256=found.content,
    )


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
                if page["endOfRecords"]:
                    break
                if not page["results"]:
                    raise GbifError(f"GBIF's search ended at {offset:,} of {page['count']:,} records; start again")
    with gzip.open(target, "rb") as lines:
        total = sum(1 for _ in lines)
    return SourceRecord(
        mode="search",
        key=name,
        origin=f"a search of GBIF on {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, which has no DOI",
        total_records=total,
        predicate=dict(parameters),
        checklist_key=settings.source.checklist_key,
        archive=str(target.relative_to(settings.paths.data_root)),
        sha256=remembered_sha256(target),
    )


def _archive(settings: Settings, *, api: Api, log: Log) -> SourceRecord:
    """A Darwin Core Archive on disk or at an address."""
    given = settings.source.archive
    if given is None:
        raise GbifError("source.mode archive needs source.archive: a path or an http(s) address")
    target = settings.paths.downloads / f"archive-{digest_of(given)}" / "archive.zip"
    if given.startswith(("http://", "https://")):
        fetch_archive(api, address=given, target=target, log=log, may_change=True)
    else:
        _bring(Path(given), target)
    digest = remembered_sha256(target)
    found = read_provenance(target)
    return SourceRecord(
        mode="archive",
        key=found.key or f"archive-{digest[:16]}",
        doi=found.doi,
        citation=found.citation,
        origin=None if found.citation else f"the archive {_name_of(given)}, which does not say how to cite it",
        licence=found.licence,
        created=found.created,
        predicate={},
        checklist_key=None,
        archive=str(target.relative_to(settings.paths.data_root)),
        sha256=digest,
    )


def _name_of(archive: str) -> str:
    """The name of the file; what an address holds beside may be secret."""
    return Path(urlsplit(archive).path if "://" in archive else archive).name


def _bring(source: Path, target: Path) -> None:
    """A second name for the archive where the file system allows it, else a copy; nothing when it is here unchanged."""
    if not source.is_file():
        raise ArchiveError(f"there is no archive at {source.absolute()}; check source.archive")
    if not zipfile.is_zipfile(source):
        raise ArchiveError(f"{source} is no zip archive; source.archive must be a Darwin Core Archive")
    theirs = source.stat()
    if target.exists():
        ours = target.stat()
        # A copy keeps the time of what it was made from.
        if (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns):
            return
    with atomic_path(target) as partial:
        try:
            partial.hardlink_to(source.resolve())
        except OSError:
            shutil.copyfile(source, partial)
            os.utime(partial, ns=(theirs.st_atime_ns, theirs.st_mtime_ns))
