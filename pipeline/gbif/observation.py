"""What the source of the records holds now, asked without fetching it: a version, and what people see of it."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from pipeline.config.settings import Settings
from pipeline.errors import ArchiveError, GbifError
from pipeline.files import digest_of
from pipeline.folder.table_state import fingerprint
from pipeline.gbif.answers import Answer, Page
from pipeline.gbif.client import Api
from pipeline.gbif.scope import search_parameters


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The source at one moment.

    Attributes:
        version: Differs where the source holds something else. Equal versions do not promise equal records: GBIF's
            count stays the same where as many records came as went.
        records: Records of the scope at GBIF; None for archives and folders, which are not counted without being read.
        modified: When GBIF's dataset was last changed, as GBIF writes it; None where it is not known.
    """

    version: str
    records: int | None = None
    modified: str | None = None


class _Dataset(Answer):
    """`/dataset/{key}`."""

    modified: str | None = Field(default=None)


def observe(settings: Settings, *, api: Api) -> Observation:
    """Ask the source what it holds.

    - `download`, `replica`, `search`: GBIF's count of the scope, and when its dataset was changed: two small requests,
      which return no records;
    - `archive` at an address: what the host says of the file (ETag, Last-Modified, size); its body is not read;
    - `archive` on disk: its size and time;
    - `folder`: the bytes of the table, and size and time of each photograph that it names.

    Raises:
        GbifError: GBIF or the archive's host refused, did not answer, or does not say what tells versions apart.
        ArchiveError: there is no archive at the path.
        FolderError: the table of one's own photographs cannot be read.
    """
    source = settings.source
    if source.mode == "folder":
        assert source.folder is not None  # noqa: S101 (the configuration holds it against the mode)
        return Observation(version=fingerprint(source.folder))
    if source.mode == "archive":
        assert source.archive is not None  # noqa: S101 (likewise)
        if source.archive.startswith(("http://", "https://")):
            return _address(source.archive, api=api)
        return Observation(version=file_version(Path(source.archive)))
    page = api.get("/occurrence/search", Page, {**search_parameters(source), "limit": 0})
    modified = api.get(f"/dataset/{source.dataset_key}", _Dataset).modified
    parts = [f"{page.count} records", *([modified] if modified else [])]
    return Observation(version=", ".join(parts), records=page.count, modified=modified)


def file_version(path: Path) -> str:
    """A hash of the size and time of an archive on disk; a copy that keeps the time has the same.

    Raises:
        ArchiveError: there is no such file.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise ArchiveError(f"there is no archive at {path.absolute()}; check source.archive") from error
    return digest_of(found.st_size, found.st_mtime_ns)


def _address(address: str, *, api: Api) -> Observation:
    stated = api.stated(address)
    if not stated.validator and not stated.size:
        raise GbifError(
            f"{address} states neither ETag nor Last-Modified nor a size, so a change cannot be noticed: "
            "start a run when you know that there is a new archive"
        )
    return Observation(version=", ".join([*filter(None, [stated.validator]), f"{stated.size} bytes"]))
