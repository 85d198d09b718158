"""Which download an archive is, and how to cite it, from its metadata.xml. Archives of other publishers state less."""

import datetime as dt
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from pipeline.archive.members import read_xml

KEY: Final = re.compile(r"\b\d{7}-\d{15,18}\b")
"""A download key: seven digits, a dash, a time of fifteen digits or more."""
DOI: Final = re.compile(r"\b10\.\d{4,9}/[^\s<>\"]+")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What an archive states about itself; None where it states nothing."""

    key: str | None = None
    doi: str | None = None
    citation: str | None = None
    licence: str | None = None
    created: str | None = None


def read_provenance(archive: Path) -> Provenance:
    """Read metadata.xml (EML, as GBIF's download service writes it).

    The citation is the one that GBIF asks for (gbif.org/citation-guidelines) if there is a DOI, else that of the
    document.

    Raises:
        ArchiveError: the document exists but is unsafe or damaged.
    """
    root = read_xml(archive, "metadata.xml")
    if root is None:
        return Provenance()
    title = _text(root, "dataset/title")
    naming = [_text(root, "dataset/alternateIdentifier"), root.get("packageId"), title]
    cited = root.find("additionalMetadata/metadata/gbif/citation")
    naming += [None if cited is None else cited.get("identifier"), _text(root, ".//distribution/online/url")]
    named = " ".join(filter(None, naming))
    key, doi = KEY.search(named), DOI.search(named)
    published = _text(root, "dataset/pubDate")
    citation = None if cited is None else " ".join("".join(cited.itertext()).split()) or None
    if doi is not None:
        citation = _recommended(doi.group(), published)
    return Provenance(
        key=key.group() if key else None,
        doi=doi.group() if doi else None,
        citation=citation or title,
        licence=_text(root, "dataset/intellectualRights/para"),
        created=_text(root, "additionalMetadata/metadata/gbif/dateStamp") or published,
    )


def _recommended(doi: str, published: str | None) -> str:
    try:
        day = dt.date.fromisoformat((published or "")[:10])
        moment = f" ({day.day} {day:%B %Y})"
    except ValueError:
        moment = ""
    return f"GBIF.org{moment} GBIF Occurrence Download https://doi.org/{doi}"


def _text(root: ET.Element, path: str) -> str | None:
    """The text of an element and of all elements in it, in one line."""
    element = root.find(path)
    return None if element is None else " ".join("".join(element.itertext()).split()) or None
