"""Reads the members of an archive safely, in whatever folder they are; `description` says what they mean.

Nothing is unpacked under a member's own name, and only members that are used are checked: damage, size or a strange
name elsewhere in the archive does not matter.
"""

import codecs
import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final
from xml.etree import ElementTree as ET

from pipeline.errors import ArchiveError

META: Final = "meta.xml"
"""The description of an archive; the folder it is in is the archive's root."""
MOST_BYTES: Final = 4 << 40
"""Larger members are refused: GBIF's whole index is smaller."""
HIGHEST_RATIO: Final = 200
"""A member beyond a gigabyte that grows more than this is refused as a bomb; occurrence text grows 5 to 20 fold."""
LARGEST_XML: Final = 10 << 20
DAMAGE: Final = (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError)
"""What reading a damaged member raises; zipfile raises the last for a version or a flag that it does not know."""
LITTER: Final = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that desktop systems add to archives."""


class DamagedArchiveError(ArchiveError):
    """The bytes are no archive, or are damaged: fetching them again may help."""


def member_names(path: Path) -> frozenset[str]:
    """The names of the members at and below the folder of meta.xml, relative to it, with forward slashes.

    Raises:
        ArchiveError: it is no archive, or holds several.
    """
    with _opened(path) as archive:
        return frozenset(_members(path, archive))


@contextlib.contextmanager
def opened_member(path: Path, name: str) -> Iterator[IO[bytes]]:
    """One member of the archive, opened for reading; its checksum is verified when its end is read.

    Args:
        path: The archive.
        name: One of `member_names`.

    Raises:
        ArchiveError: it is implausibly large, damaged, encrypted, there twice, or packed by another method than
            deflate.
    """
    with _opened(path) as archive:
        info = _member(path, archive, name)
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MOST_BYTES or (info.file_size > 1 << 30 and ratio > HIGHEST_RATIO):
            raise ArchiveError(f"{path}: {name} would unpack to {info.file_size:,} bytes; it looks like a bomb")
        if info.flag_bits & 0x1:
            raise ArchiveError(
                f"{path}: {name} is encrypted; GBIF's archives are not: pack it again without a password"
            )
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ArchiveError(f"{path}: {name} is packed by method {info.compress_type}; deflate is expected")
        # zipfile does not check the offset in the directory before it seeks there.
        if not 0 <= info.header_offset < path.stat().st_size:
            raise DamagedArchiveError(f"{path} is damaged: its directory names an offset beyond its end for {name}")
        try:
            with archive.open(info) as stream:
                yield stream
        except DAMAGE as error:
            raise DamagedArchiveError(f"{path}: {name} is damaged: {error}") from error


def member_bytes(path: Path, name: str) -> int:
    """The size of an unpacked member in bytes, as the archive states it."""
    with _opened(path) as archive:
        return _member(path, archive, name).file_size


def read_xml(path: Path, name: str) -> ET.Element | None:
    """The root of an XML member; None when the archive has no such member.

    Raises:
        ArchiveError: it is no archive, or the member is damaged, too large, not XML, or declares entities.
    """
    if name not in member_names(path):
        return None
    if member_bytes(path, name) > LARGEST_XML:
        raise ArchiveError(f"{path}: {name} has {member_bytes(path, name):,} bytes, which no archive needs")
    with opened_member(path, name) as stream:
        content = stream.read()
    text: str | bytes = content
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = content.decode("utf-16")
        # Encodings in which expat would see these words and this test would not have NUL bytes.
        if any(word in content.replace(b"\0", b"") for word in (b"<!DOCTYPE", b"<!ENTITY")):
            raise ArchiveError(f"{path}: {name} declares entities, which Darwin Core does not use")
        if isinstance(text, bytes) and b"\0" in text:
            raise ArchiveError(f"{path}: {name} is neither UTF-8 nor UTF-16 with a byte order mark")
        return ET.fromstring(text)  # noqa: S314 (entities were refused above)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise ArchiveError(f"{path}: {name} cannot be read: {error}") from error


def require_meta(path: Path) -> None:
    """Refuse an archive without a description.

    Raises:
        ArchiveError: it has no meta.xml; the message says what it seems to be.
    """
    names = member_names(path)
    if META in names:
        return
    archives = sorted(name for name in names if name.lower().endswith(".zip"))
    if archives:
        raise ArchiveError(f"{path} has no meta.xml but another archive, {archives[0]}: unpack it, and give that one")
    raise ArchiveError(f"{path} has no meta.xml; ask GBIF for the format DWCA (SIMPLE_CSV carries no photographs)")


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The member of a name; any of several with the same content."""
    found = _members(path, archive)[name]
    if len({(info.CRC, info.file_size) for info in found}) > 1:
        raise ArchiveError(f"{path} holds {name} {len(found)} times, with different content; leave one in it")
    return found[-1]


def _members(path: Path, archive: zipfile.ZipFile) -> Mapping[str, list[zipfile.ZipInfo]]:
    """The members at and below the folder of meta.xml, by their names there; without meta.xml all of them."""
    placed = [(parts, info) for info in archive.infolist() if (parts := _parts(info)) is not None]
    folders = {parts[:-1] for parts, _ in placed if parts[-1] == META}
    depth = min(map(len, folders), default=0)
    roots = sorted(folder for folder in folders if len(folder) == depth)
    if len(roots) > 1:
        listed = ", ".join("/".join((*folder, META)) for folder in roots)
        raise ArchiveError(f"{path} holds several archives: {listed}; pack the one that is meant by itself")
    root = roots[0] if roots else ()
    members: dict[str, list[zipfile.ZipInfo]] = {}
    for parts, info in placed:
        if parts[:depth] == root:
            members.setdefault("/".join(parts[depth:]), []).append(info)
    return members


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...] | None:
    """The parts of a member's name; None for a folder, for litter, and for a name that leads out of the archive."""
    parts = tuple(part for part in info.filename.replace("\\", "/").split("/") if part not in {"", "."})
    if info.is_dir() or not parts or ".." in parts or LITTER & set(parts) or parts[-1].startswith("._"):
        return None
    return parts


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    # A damaged directory has more ways to fail than a damaged member.
    except (*DAMAGE, OSError, ValueError, struct.error) as error:
        raise DamagedArchiveError(f"{path} is no zip archive, or it was cut off: {error}") from error
