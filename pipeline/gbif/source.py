"""Fetches the raw occurrences of the scope, in one of five modes, and records where they came from.

Files that were fetched and verified before are used, even if the source no longer answers or no longer has them.
Nothing is interpreted here: `pipeline.gbif.occurrences` reads what this module fetched.
"""

import datetime as dt
import gzip
import os
import shutil
import zipfile
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.archive.citation import Provenance, read_provenance
from pipeline.archive.description import read_layout
from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError, GbifError
from pipeline.files import atomic_path, digest_of, exclusive, remembered_sha256, sha256_of, write_json
from pipeline.folder.labelled_records import CHECKLIST
from pipeline.folder.listing import write_listing
from pipeline.folder.table_state import fingerprint
from pipeline.gbif.client import Api, UnreachableError
from pipeline.gbif.download import FRESH, Log, fetch_archive, fetch_download, remembered_key
from pipeline.gbif.scope import predicate, search_parameters
from pipeline.gbif.search import read_search
from pipeline.paths import Paths

RECORD: Final = "record.json"
"""The record of a download, beside its archive."""
PAGES: Final = "records.jsonl.gz"
"""The records of a search."""


class SourceRecord(BaseModel):
    """`download.json`: the raw answer that the tables are built from, and how to cite it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mode: Literal["replica", "search", "download", "archive", "folder"]
    key: str
    """GBIF's download key, also of an archive that names it; for searches and other archives a content hash."""
    doi: str | None = None
    citation: str | None = None
    origin: str | None = None
    """A description of the source, used instead of a citation where GBIF gave none or where the replica invented it."""
    licence: str | None = None
    created: str | None = None
    total_records: int | None = None
    predicate: dict[str, object]
    checklist_key: str | None
    """The taxonomy of names and keys; None where the source does not say (`pipeline.gbif.occurrences` then decides)."""
    archive: str
    """The file, relative to `data_root`: a Darwin Core Archive, or gzipped JSON lines for searches."""
    sha256: str
    fingerprint: str | None = None
    """Of one's own photographs: how table and files looked before they were read (`pipeline.folder.table_state`)."""

    @classmethod
    def read(cls, paths: Paths) -> Self:
        """Read `download.json`.

        Raises:
            GbifError: nothing was fetched yet, or another version wrote the file differently.
        """
        if not paths.current_download.exists():
            raise GbifError(f"{paths.current_download} is missing; materialise the asset gbif_download")
        record = cls.read_file(paths.current_download)
        if record is None:
            raise GbifError(
                f"{paths.current_download} is not what this version of NatureWatch writes; "
                "materialise the asset gbif_download again (what was fetched is kept)"
            )
        return record

    @classmethod
    def read_file(cls, path: Path) -> Self | None:
        """A record from a file; None if there is no file, or another version wrote it differently."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def citation_facts(self) -> dict[str, str]:
        """Metadata for the footer of `occurrences.parquet`, so that the table can be cited wherever it is copied."""
        key = None if self.mode == "folder" else self.key
        facts = {"gbif_download_key": key, "gbif_doi": self.doi, "citation": self.citation, "origin": self.origin}
        return {name: value for name, value in facts.items() if value is not None}


def fetch_source(settings: Settings, *, api: Api, log: Log, max_age: dt.timedelta = FRESH) -> SourceRecord:
    """Fetch the scope's occurrences unless they were fetched before, and write `download.json`.

    Args:
        settings: The configuration.
        api: The client.
        log: Told what is fetched.
        max_age: A download of GBIF's that is older is asked for anew; zero always asks.

    Raises:
        GbifError: GBIF refused or failed.
        ArchiveError: the source sent no usable archive.
        FolderError: the table of one's own photographs cannot be used.
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
                record = _download(settings, api=api, log=log, max_age=max_age)
        write_json(settings.paths.current_download, record.model_dump(mode="json"))
    # Most requests are still to come: those for the photographs.
    if settings.contact_advice:
        log(settings.contact_advice)
    return record


def needs_account(settings: Settings) -> bool:
    """Whether the next run may ask GBIF for a download, for which it needs an account."""
    source = settings.source
    if source.mode != "download" or source.download_key is not None:
        return False
    return remembered_key(source, settings.paths.downloads / _scope_hash(settings)) is None


def _download(settings: Settings, *, api: Api, log: Log, max_age: dt.timedelta) -> SourceRecord:
    """GBIF's asynchronous download of the scope, or the download that the configuration names."""
    source = settings.source
    folder = settings.paths.downloads / (source.download_key or _scope_hash(settings))
    key = remembered_key(source, folder, max_age=max_age)
    kept = _kept(settings, folder)
    if kept is not None and kept.key == key:
        log(f"going on with GBIF download {key}, which was fetched and verified before")
        return kept
    try:
        found = fetch_download(source, api=api, folder=folder, log=log, max_age=max_age)
    except UnreachableError as error:
        if kept is None:
            raise
        log(f"{error}; going on with GBIF download {kept.key} of {kept.created}, which was fetched and verified before")
        return kept
    status, given = found.status, source.download_key is not None
    record = SourceRecord(
        mode=source.mode,
        key=found.key,
        doi=status.doi,
        citation=_citation(api, key=found.key, doi=status.doi),
        origin=_replica_origin(settings) if source.mode == "replica" else None,
        licence=status.licence,
        created=status.created,
        total_records=status.total_records,
        predicate=status.request.predicate if given else predicate(source),
        checklist_key=status.request.checklist_key if given else source.checklist_key,
        archive=str(found.archive.relative_to(settings.paths.data_root)),
        sha256=remembered_sha256(found.archive),
    )
    write_json(folder / RECORD, record.model_dump(mode="json"))
    return record


def _kept(settings: Settings, folder: Path) -> SourceRecord | None:
    """The record of the last download fetched into `folder`, if its archive is unchanged since it was verified."""
    for path in (folder / RECORD, settings.paths.current_download):
        record = SourceRecord.read_file(path)
        archive = settings.paths.data_root / record.archive if record is not None else folder
        if record is not None and archive.parent == folder and archive.is_file():
            return record if remembered_sha256(archive) == record.sha256 else None
    return None


def _scope_hash(settings: Settings) -> str:
    """A hash of what distinguishes downloads: the predicate, and in replica mode what the replica serves."""
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
    """What the replica's records are; its key, DOI and citation are invented."""
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
    seen = fingerprint(settings.source.folder)
    found = write_listing(settings.paths, settings.source.folder, log=log)
    return SourceRecord(
        mode="folder",
        key=f"folder-{found.content[:16]}",
        origin=f"own photographs listed in {settings.source.folder.name} (SHA-256 {found.table_sha256})",
        total_records=found.photographs,
        predicate={},
        checklist_key=CHECKLIST,
        archive=str(found.path.relative_to(settings.paths.data_root)),
        sha256=found.content,
        fingerprint=seen,
    )


def _search(settings: Settings, *, api: Api, log: Log) -> SourceRecord:
    """All pages of a search, for scopes of up to 100,000 records."""
    parameters = search_parameters(settings.source)
    scope = f"search-{_scope_hash(settings)}"
    target = settings.paths.downloads / f"{scope}-{dt.datetime.now(tz=dt.UTC):%Y%m%d}" / PAGES
    earlier = sorted(settings.paths.downloads.glob(f"{scope}-*/{PAGES}"))
    if not target.exists():
        try:
            with atomic_path(target) as partial:
                read_search(api, parameters, target=partial, log=log)
        except UnreachableError as error:
            if not earlier:
                raise
            target = earlier[-1]
            log(f"{error}; going on with {target}, which was fetched before")
    with gzip.open(target, "rb") as lines:
        total = sum(1 for _ in lines)
    return SourceRecord(
        mode="search",
        key=target.parent.name,
        origin=f"a search of GBIF on {dt.date.fromisoformat(target.parent.name[-8:])}, which has no DOI",
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
        _bring(Path(given), target, log=log)
    if not read_layout(target).has_taxon_keys:
        log(
            f"{given} is no GBIF download: it has names but none of GBIF's taxon keys, so every occurrence will be "
            "removed (rule missing_species_key); ask GBIF for a download of these records, format DWCA"
        )
    digest = remembered_sha256(target)
    found = _provenance(target, log=log)
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
    """The name of the file; the rest of an address may be secret."""
    return Path(urlsplit(archive).path if "://" in archive else archive).name


def _provenance(archive: Path, *, log: Log) -> Provenance:
    """What the archive says about itself; if that cannot be read, its records are still used."""
    try:
        return read_provenance(archive)
    except ArchiveError as error:
        log(f"{error}; how to cite the archive stays unknown")
        return Provenance()


def _bring(source: Path, target: Path, *, log: Log) -> None:
    """Hard-link the archive to `target`, or copy it where that is not possible; do nothing if it is unchanged."""
    if not source.is_file():
        if not target.exists():
            raise ArchiveError(f"there is no archive at {source.absolute()}; check source.archive")
        log(f"there is no archive at {source.absolute()} now; going on with {target}, which came from there")
        return
    if not zipfile.is_zipfile(source):
        raise ArchiveError(f"{source} is no zip archive; source.archive must be a Darwin Core Archive")
    theirs = source.stat()
    if target.exists():
        ours = target.stat()
        # A copy keeps the time of its original.
        if (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns):
            return
    with atomic_path(target) as partial:
        try:
            partial.hardlink_to(source.resolve())
        except OSError:
            shutil.copyfile(source, partial)
            os.utime(partial, ns=(theirs.st_atime_ns, theirs.st_mtime_ns))
