"""What meta.xml says of the two files of a Darwin Core Archive that are read.

An archive comes from outside, so nothing in it is trusted. `pipeline.archive.members` reads its bytes,
`pipeline.archive.lines` checks its lines, and `sql/gbif/` says what the columns mean.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree import ElementTree as ET

from pipeline.archive.members import META, member_names, opened_member, read_xml, require_meta
from pipeline.errors import ArchiveError

OCCURRENCE_TYPE: Final = "http://rs.tdwg.org/dwc/terms/Occurrence"
MULTIMEDIA_TYPE: Final = "http://rs.gbif.org/terms/1.0/Multimedia"
NAMESPACE: Final = "{http://rs.tdwg.org/dwc/text/}"
MOST_COLUMNS: Final = 2_000
"""GBIF's widest file has about 250."""
TAXON_KEYS: Final = frozenset({"taxonKey", "acceptedTaxonKey", "speciesKey"})
"""Columns that exist only in GBIF's interpretation."""


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """One delimited file of an archive, as meta.xml describes it."""

    location: str
    columns: tuple[str, ...]
    """Short names of the terms, by position; `""` where a position has no term, or a term that came before."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Term -> value where the line has none."""
    delimiter: str
    enclosed_by: str
    """The quote around values; `""` for none, as in GBIF's own archives, where quotes are ordinary characters."""
    header_lines: int

    @property
    def key(self) -> int:
        """The position of gbifID."""
        return self.columns.index("gbifID")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What meta.xml says about the two files that are read."""

    occurrence: TextFile
    multimedia: TextFile

    @property
    def has_taxon_keys(self) -> bool:
        """Whether GBIF has interpreted the names; other publishers write names without keys."""
        return bool(TAXON_KEYS & set(self.occurrence.columns))


def read_layout(path: Path) -> Layout:
    """Read meta.xml of the archive at `path`; extensions that are not used are not checked.

    Raises:
        ArchiveError: it is no archive, has no meta.xml, or lacks occurrences or multimedia.
    """
    require_meta(path)
    names = member_names(path)
    root = read_xml(path, META)
    core = None if root is None else root.find(f"{NAMESPACE}core")
    kind = "nothing" if core is None else core.get("rowType", "nothing")
    if root is None or core is None or kind != OCCURRENCE_TYPE or not _locations(core):
        raise ArchiveError(f"{path} has the core {kind}; GBIF occurrences with their file are needed")
    occurrence = _text_file(path, core)
    if occurrence.location not in names:
        raise ArchiveError(f"{path}: meta.xml names {occurrence.location}, which the archive does not hold")
    multimedia = _text_file(path, _multimedia(path, root.findall(f"{NAMESPACE}extension"), names))
    _require(path, occurrence, {"gbifID"})
    _require(path, multimedia, {"gbifID", "identifier"})
    return Layout(occurrence=occurrence, multimedia=multimedia)


def verify_archive(path: Path) -> Layout:
    """Read the two files to their ends.

    Raises:
        ArchiveError: the archive cannot be used (see `read_layout`), or a file does not match its checksum.
    """
    layout = read_layout(path)
    for file in (layout.occurrence, layout.multimedia):
        with opened_member(path, file.location) as stream:
            while stream.read(1 << 20):
                pass
    return layout


def _multimedia(path: Path, extensions: Sequence[ET.Element], names: Collection[str]) -> ET.Element:
    """The description of the interpreted multimedia; GBIF puts the media as received into folders below."""
    found = [
        (min(location.count("/") for location in _locations(element)), element)
        for element in extensions
        if element.get("rowType", "") == MULTIMEDIA_TYPE and any(each in names for each in _locations(element))
    ]
    highest = [element for depth, element in found if depth == min(depth for depth, _ in found)]
    if not highest:
        raise ArchiveError(f"{path} has no multimedia.txt, so no photographs; ask GBIF for the format DWCA")
    if len(highest) > 1:
        raise ArchiveError(f"{path}: meta.xml describes multimedia {len(highest)} times; one description is expected")
    return highest[0]


def _locations(element: ET.Element) -> list[str]:
    """The files that an element of meta.xml names, as members are named."""
    named = [(each.text or "").strip() for each in element.findall(f"{NAMESPACE}files/{NAMESPACE}location")]
    return [location.removeprefix("./") for location in named]


def _text_file(path: Path, element: ET.Element) -> TextFile:
    """The file that an element of meta.xml describes."""
    kind, locations = element.get("rowType", ""), _locations(element)
    if len(locations) > 1:
        raise ArchiveError(f"{path}: meta.xml spreads {kind} over {len(locations)} files; GBIF writes one")
    (location,) = locations
    parts = PurePosixPath(location).parts
    if location.startswith("/") or "\\" in location or ".." in parts or not parts:
        raise ArchiveError(f"{path}: meta.xml names the file {location!r} outside the archive")
    encoding = element.get("encoding", "UTF-8")
    if encoding.replace("-", "").lower() not in {"utf8", "ascii", "usascii"}:
        raise ArchiveError(f"{path}: {location} is in the encoding {encoding}; UTF-8 is expected")
    ending = _unescaped(element.get("linesTerminatedBy", "\n"))
    # XML turns a line feed in an attribute into a blank.
    if ending not in {"\n", "\r\n", " ", ""}:
        raise ArchiveError(f"{path}: {location} ends its lines with {ending!r}; a line feed is expected")
    columns, defaults = _columns(path, element)
    return TextFile(
        location=location,
        columns=columns,
        defaults=defaults,
        delimiter=_character(path, element, "fieldsTerminatedBy", missing="\\t", empty=False),
        enclosed_by=_character(path, element, "fieldsEnclosedBy", missing="", empty=True),
        header_lines=_number(path, element, "ignoreHeaderLines", most=1_000) or 0,
    )


def _columns(path: Path, element: ET.Element) -> tuple[tuple[str, ...], dict[str, str]]:
    """The terms by position, and default values of terms. The first of two equal terms counts."""
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
    """A character that meta.xml states."""
    text = element.get(attribute, missing)
    character = _unescaped(text)
    if (not character and empty) or (len(character) == 1 and character.isascii() and character not in "\r\n\0"):
        return character
    raise ArchiveError(f"{path}: meta.xml states {attribute}={text[:40]!r}; one ASCII character is expected")


def _unescaped(text: str) -> str:
    r"""A text that meta.xml states as itself or with `\t`, `\u0009` and the like; unchanged where that fails."""
    try:
        return text.encode("ascii").decode("unicode_escape")
    except UnicodeError:
        return f"{text}, no ASCII character"


def _require(path: Path, file: TextFile, columns: set[str]) -> None:
    missing = sorted(columns - set(file.columns))
    if missing:
        raise ArchiveError(f"{path}: {file.location} has no column {', '.join(missing)}; it is not GBIF's format")
