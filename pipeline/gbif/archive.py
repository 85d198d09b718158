"""Opens a Darwin Core Archive safely: what meta.xml says of its two files, and their bytes.

An archive comes from outside: its names, sizes and descriptions are not trusted. Its lines are judged by
`pipeline.gbif.lines`; what the columns mean is for `sql/occurrences.sql` and `sql/media.sql`.
"""

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Final
from xml.etree import ElementTree as ET

from pipeline.errors import ArchiveError

OCCURRENCE_TYPE: Final = "http://rs.tdwg.org/dwc/terms/Occurrence"
MULTIMEDIA_TYPE: Final = "http://rs.gbif.org/terms/1.0/Multimedia"
NAMESPACE: Final = "{http://rs.tdwg.org/dwc/text/}"
MOST_BYTES: Final = 4 << 40
"""Larger members are refused: GBIF's whole index is smaller."""
HIGHEST_RATIO: Final = 200
"""A member that grows more than this and beyond a gigabyte is taken for a bomb; occurrence text grows 5 to 20 fold."""
LARGEST_XML: Final = 10 << 20
MOST_COLUMNS: Final = 2_000
"""GBIF's widest file has about 250."""
DAMAGE: Final = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError)
"""What reading a damaged member raises; the last is zipfile's word for a version or a flag that it does not know."""


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """One delimited file of an archive, as meta.xml describes it."""

    location: str
    columns: tuple[str, ...]
    """Short names of the terms, by position; a position without a term, or with one that came before, is `""`."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Term -> value where the line has none."""
    delimiter: str
    enclosed_by: str
    """The quote around values, or `""`: GBIF's own archives have none, and quotes are characters like any other."""
    header_lines: int

    @property
    def key(self) -> int:
        """The position of gbifID."""
        return self.columns.index("gbifID")


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
    root = read_xml(path, "meta.xml")
    if root is None:
        raise ArchiveError(f"{path} has no meta.xml; ask GBIF for the format DWCA (SIMPLE_CSV carries no photographs)")
    with _opened(path) as archive:
        names = set(archive.namelist())
    core, occurrence = _text_file(path, root.find(f"{NAMESPACE}core"))
    if core != OCCURRENCE_TYPE or occurrence is None:
        raise ArchiveError(f"{path} has the core {core or 'nothing'}; the road needs GBIF occurrences with their file")
    if occurrence.location not in names:
        raise ArchiveError(f"{path}: meta.xml names {occurrence.location}, which the archive does not hold")
    # verbatim.txt is an extension of the type Occurrence: only Multimedia is looked for among them.
    found = [
        file
        for kind, file in (_text_file(path, element) for element in root.findall(f"{NAMESPACE}extension"))
        if kind == MULTIMEDIA_TYPE
    ]
    if len(found) > 1:
        raise ArchiveError(f"{path}: meta.xml describes multimedia {len(found)} times; one description is expected")
    if not found or found[0] is None or found[0].location not in names:
        raise ArchiveError(f"{path} has no multimedia.txt, so no photographs; ask GBIF for the format DWCA")
    layout = Layout(occurrence=occurrence, multimedia=found[0])
    _require(path, layout.occurrence, {"gbifID"})
    _require(path, layout.multimedia, {"gbifID", "identifier"})
    return layout


def read_xml(path: Path, name: str) -> ET.Element | None:
    """The root of an XML member; None when the archive has no such member.

    Raises:
        ArchiveError: it is no archive, or the member is damaged, too large, not XML, or declares entities.
    """
    with _opened(path) as archive:
        if name not in archive.namelist():
            return None
        size = archive.getinfo(name).file_size
    if size > LARGEST_XML:
        raise ArchiveError(f"{path}: {name} has {size:,} bytes, which no archive needs")
    with opened_member(path, name) as stream:
        text = stream.read()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text or b"\0" in text:
        # A NUL byte: in UTF-16 the two words would not be found.
        raise ArchiveError(f"{path}: {name} declares entities or is not UTF-8, which Darwin Core does not use")
    try:
        return ET.fromstring(text)  # noqa: S314 (entities were refused above)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise ArchiveError(f"{path}: {name} cannot be read: {error}") from error


@contextlib.contextmanager
def opened_member(path: Path, name: str) -> Iterator[IO[bytes]]:
    """One member of the archive, for reading; its checksum is verified at its end.

    Raises:
        ArchiveError: it is implausibly large, damaged, encrypted, or packed by another method than deflate.
    """
    with _opened(path) as archive:
        info = archive.getinfo(name)
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MOST_BYTES or (info.file_size > 1 << 30 and ratio > HIGHEST_RATIO):
            raise ArchiveError(f"{path}: {name} would unpack to {info.file_size:,} bytes; it looks like a bomb")
        if info.flag_bits & 0x1:
            raise ArchiveError(f"{path}: {name} is encrypted; GBIF's archives are not")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ArchiveError(f"{path}: {name} is packed by method {info.compress_type}; deflate is expected")
        try:
            with archive.open(info) as stream:
                yield stream
        except DAMAGE as error:
            raise ArchiveError(f"{path}: {name} is damaged: {error}") from error


def member_bytes(path: Path, name: str) -> int:
    """Bytes that a member unpacks to, as the archive says."""
    with _opened(path) as archive:
        return archive.getinfo(name).file_size


def verify_members(path: Path) -> None:
    """Read every member to its end.

    Raises:
        ArchiveError: it is no archive, or a member does not match its checksum.
    """
    with _opened(path) as archive:
        names = archive.namelist()
    for name in names:
        with opened_member(path, name) as stream:
            while stream.read(1 << 20):
                pass


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    # A damaged directory has more ways to fail than a damaged member.
    except (*DAMAGE, OSError, ValueError, struct.error) as error:
        raise ArchiveError(f"{path} is no zip archive, or it was cut off: {error}") from error
    # zipfile does not look at the places that the directory names before it goes there.
    lost = [info.filename for info in archive.infolist() if not 0 <= info.header_offset < path.stat().st_size]
    if lost:
        archive.close()
        raise ArchiveError(f"{path} is damaged: it has no place for {lost[0]}")
    return archive


def _text_file(path: Path, element: ET.Element | None) -> tuple[str, TextFile | None]:
    """The row type and the file of one element of meta.xml; None when it names no file."""
    if element is None:
        return "", None
    kind = element.get("rowType", "")
    locations = [(each.text or "").strip() for each in element.findall(f"{NAMESPACE}files/{NAMESPACE}location")]
    if not locations or kind not in {OCCURRENCE_TYPE, MULTIMEDIA_TYPE}:
        return kind, None
    if len(locations) > 1:
        raise ArchiveError(f"{path}: meta.xml spreads {kind} over {len(locations)} files; GBIF writes one")
    (location,) = locations
    if PurePosixPath(location).name != location or location in {"", ".", ".."} or "\\" in location:
        raise ArchiveError(f"{path}: meta.xml names the file {location!r} outside the archive")
    encoding = element.get("encoding", "UTF-8")
    if encoding.replace("-", "").lower() != "utf8":
        raise ArchiveError(f"{path}: {location} is in the encoding {encoding}; UTF-8 is expected")
    columns, defaults = _columns(path, element)
    return kind, TextFile(
        location=location,
        columns=columns,
        defaults=defaults,
        delimiter=_character(path, element, "fieldsTerminatedBy", missing="\\t", empty=False),
        enclosed_by=_character(path, element, "fieldsEnclosedBy", missing="", empty=True),
        header_lines=_number(path, element, "ignoreHeaderLines", most=1_000) or 0,
    )


def _columns(path: Path, element: ET.Element) -> tuple[tuple[str, ...], dict[str, str]]:
    """The terms by position, and the values of terms where the line has none. The first of two equal terms counts."""
    terms: dict[int, str] = {}
    defaults: dict[str, str] = {}
    key = element.find(f"{NAMESPACE}id")
    key = element.find(f"{NAMESPACE}coreid") if key is None else key
    position = None if key is None else _number(path, key, "index", most=MOST_COLUMNS)
    if position is not None:
        terms[position] = "gbifID"
    last = max(terms, default=0)
    for each in element.findall(f"{NAMESPACE}field"):
        position = _number(path, each, "index", most=MOST_COLUMNS)
        # http://purl.org/dc/terms/license and .../dwc/terms/license are one column here, whatever the case.
        short = each.get("term", "").rstrip("/").rsplit("/", 1)[-1]
        if short and each.get("default"):
            defaults.setdefault(short, each.get("default", ""))
        if position is None:
            continue
        last = max(last, position)
        if position not in terms and short.lower() not in {taken.lower() for taken in terms.values()}:
            terms[position] = short
    return tuple(terms.get(position, "") for position in range(last + 1)), defaults


def _number(path: Path, element: ET.Element, attribute: str, *, most: int) -> int | None:
    """A count or position that meta.xml states; None without one."""
    text = element.get(attribute)
    if text is None or not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) < 10) or int(text) > most:
        raise ArchiveError(f"{path}: meta.xml states {attribute}={text[:40]!r}; a number up to {most:,} is expected")
    return int(text)


def _character(path: Path, element: ET.Element, attribute: str, *, missing: str, empty: bool) -> str:
    r"""A character that meta.xml states as itself or as `\t`, `\u0009` and the like."""
    text = element.get(attribute, missing)
    try:
        character = text.encode("ascii").decode("unicode_escape")
    except UnicodeError:
        character = "no ASCII character"
    if (not character and empty) or (len(character) == 1 and character.isascii() and character not in "\r\n\0"):
        return character
    raise ArchiveError(f"{path}: meta.xml states {attribute}={text[:40]!r}; one ASCII character is expected")


def _require(path: Path, file: TextFile, columns: set[str]) -> None:
    missing = sorted(columns - set(file.columns))
    if missing:
        raise ArchiveError(f"{path}: {file.location} has no column {', '.join(missing)}; it is not GBIF's format")
