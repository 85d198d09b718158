"""Opens a Darwin Core Archive safely and hands its two text files to DuckDB with explicit columns.

An archive comes from outside: its names, sizes and lines are not trusted. What the columns mean is for
`sql/occurrences.sql` and `sql/media.sql`.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree import ElementTree as ET

import duckdb

from pipeline.errors import ArchiveError

OCCURRENCE_TYPE: Final = "http://rs.tdwg.org/dwc/terms/Occurrence"
MULTIMEDIA_TYPE: Final = "http://rs.gbif.org/terms/1.0/Multimedia"
NAMESPACE: Final = "{http://rs.tdwg.org/dwc/text/}"
MOST_BYTES: Final = 4 << 40
"""Larger members are refused: GBIF's whole index is smaller."""
HIGHEST_RATIO: Final = 200
"""A member that grows more than this and beyond a gigabyte is taken for a bomb; occurrence text grows 5 to 20 fold."""
LARGEST_META: Final = 10 << 20


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """One delimited file of an archive, as meta.xml describes it."""

    location: str
    columns: tuple[str, ...]
    """Short names of the terms, by position; a position without a term is `_<index>`."""
    delimiter: str
    header_lines: int


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What meta.xml says about the two files that the road reads."""

    occurrence: TextFile
    multimedia: TextFile


def read_layout(path: Path) -> Layout:
    """Read meta.xml of the archive at `path`.

    Raises:
        ArchiveError: it is no archive, has no meta.xml, or lacks occurrences or multimedia.
    """
    with _opened(path) as archive:
        try:
            info = archive.getinfo("meta.xml")
        except KeyError:
            raise ArchiveError(
                f"{path} has no meta.xml; ask GBIF for the format DWCA (SIMPLE_CSV carries no photographs)"
            ) from None
        if info.file_size > LARGEST_META:
            raise ArchiveError(f"{path}: meta.xml has {info.file_size:,} bytes, which no archive needs")
        text = archive.read(info)
        names = set(archive.namelist())
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ArchiveError(f"{path}: meta.xml declares entities, which Darwin Core does not use")
    try:
        root = ET.fromstring(text)  # noqa: S314 (entities were refused above)
    except ET.ParseError as error:
        raise ArchiveError(f"{path}: meta.xml cannot be read: {error}") from error
    core, occurrence = _text_file(path, root.find(f"{NAMESPACE}core"))
    if core != OCCURRENCE_TYPE or occurrence is None or occurrence.location not in names:
        raise ArchiveError(f"{path} has the core {core or 'nothing'}; the road needs GBIF occurrences with their file")
    # verbatim.txt is an extension of the type Occurrence: only Multimedia is looked for among them.
    extensions = dict(_text_file(path, element) for element in root.findall(f"{NAMESPACE}extension"))
    multimedia = extensions.get(MULTIMEDIA_TYPE)
    if multimedia is None or multimedia.location not in names:
        raise ArchiveError(f"{path} has no multimedia.txt, so no photographs; ask GBIF for the format DWCA")
    layout = Layout(occurrence=occurrence, multimedia=multimedia)
    _require(path, layout.occurrence, {"gbifID"})
    _require(path, layout.multimedia, {"gbifID", "identifier"})
    return layout


def extract(path: Path, file: TextFile, folder: Path) -> Path:
    """Unpack one text file into `folder`, in pieces.

    Raises:
        ArchiveError: it is implausibly large, damaged, or encrypted.
    """
    target = folder / file.location
    with _opened(path) as archive:
        info = archive.getinfo(file.location)
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MOST_BYTES or (info.file_size > 1 << 30 and ratio > HIGHEST_RATIO):
            raise ArchiveError(
                f"{path}: {file.location} would unpack to {info.file_size:,} bytes; it looks like a bomb"
            )
        try:
            with archive.open(info) as source, target.open("wb") as stream:
                left = info.file_size
                while chunk := source.read(1 << 20):
                    left -= len(chunk)
                    if left < 0:
                        raise ArchiveError(f"{path}: {file.location} is larger than the archive says")
                    stream.write(chunk)
        except (zipfile.BadZipFile, RuntimeError, EOFError) as error:
            raise ArchiveError(f"{path}: {file.location} is damaged: {error}") from error
    return target


def load(connection: duckdb.DuckDBPyConnection, text: Path, file: TextFile, *, table: str, wanted: set[str]) -> None:
    """Make the table `table` of a text file, all text, and `<table>_rejects` of the lines that do not fit.

    Columns that the file does not have are NULL; `line_number` counts the lines that were read. Quotes are
    characters like any other: GBIF escapes nothing.

    Args:
        connection: Where the tables are made.
        text: The unpacked file.
        file: Its layout.
        table: The name to make.
        wanted: The columns that a query needs.
    """
    columns = "{" + ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in file.columns) + "}"
    present = [name for name in file.columns if name in wanted]
    absent = sorted(wanted - set(file.columns))
    chosen = [_identifier(name) for name in present] + [f"null::varchar as {_identifier(name)}" for name in absent]
    connection.execute(
        f"""
        create table {table} as
        select {", ".join(chosen)}, row_number() over () as line_number from read_csv(
            {_literal(str(text))}, delim={_literal(file.delimiter)}, quote='', escape='', header=false,
            skip={file.header_lines}, auto_detect=false, columns={columns}, nullstr='', strict_mode=true,
            store_rejects=true, rejects_table='{table}_rejects', rejects_scan='{table}_scans', rejects_limit=0
        )
        """  # noqa: S608 (names come from meta.xml and are quoted)
    )


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ArchiveError(f"{path} cannot be opened as an archive: {error}") from error


def _text_file(path: Path, element: ET.Element | None) -> tuple[str, TextFile | None]:
    """The row type and the file of one element of meta.xml."""
    if element is None:
        return "", None
    location = element.findtext(f"{NAMESPACE}files/{NAMESPACE}location", "").strip()
    if not location:
        return "", None
    if PurePosixPath(location).name != location or location in {"", ".", ".."} or "\\" in location:
        raise ArchiveError(f"{path}: meta.xml names the file {location!r} outside the archive")
    terms: dict[int, str] = {}
    key = element.find(f"{NAMESPACE}id")
    key = element.find(f"{NAMESPACE}coreid") if key is None else key
    if key is not None and key.get("index") is not None:
        terms[int(key.get("index", "0"))] = "gbifID"
    taken = set(terms.values())
    for field in element.findall(f"{NAMESPACE}field"):
        index, short = field.get("index"), field.get("term", "").rstrip("/").rsplit("/", 1)[-1]
        if index is None or int(index) in terms or short in taken:
            continue
        terms[int(index)] = short
        taken.add(short)
    last = max([*terms, *(int(field.get("index", "0")) for field in element.findall(f"{NAMESPACE}field"))], default=0)
    delimiter = element.get("fieldsTerminatedBy", "\\t").encode().decode("unicode_escape")
    if len(delimiter) != 1:
        raise ArchiveError(f"{path}: {location} separates fields by {delimiter!r}; one character is expected")
    return element.get("rowType", ""), TextFile(
        location=location,
        columns=tuple(terms.get(index, f"_{index}") for index in range(last + 1)),
        delimiter=delimiter,
        header_lines=int(element.get("ignoreHeaderLines", "0")),
    )


def _require(path: Path, file: TextFile, columns: set[str]) -> None:
    missing = sorted(columns - set(file.columns))
    if missing:
        raise ArchiveError(f"{path}: {file.location} has no column {', '.join(missing)}; it is not GBIF's format")


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
