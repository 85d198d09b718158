"""Where the pages lead: addresses of taxa, records, photographs and downloads at GBIF and iNaturalist. Asks nobody."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pipeline.config.settings import COL_XR_CHECKLIST
from pipeline.gbif.source import SourceRecord

BACKBONE: Final = "d7dddbf4-2cf0-4f39-9b2a-bb099caae36c"
"""GBIF's older checklist, with integer keys."""
TEST_PREFIX: Final = "10.21373/"
"""The DOI prefix of GBIF's test system, which resolves to nothing; the replica uses it."""
SEARCH_INATURALIST: Final = "https://www.inaturalist.org/taxa/search?q="
_SEARCH: Final = "https://www.gbif.org/taxon/search?q="
_PHOTO: Final = re.compile(r"https?://[^/]*inaturalist[^/]*/photos/(\d+)/", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Where GBIF shows the species of a dataset."""

    prefix: str
    """All of an address but the key, or the name that is searched."""
    by_key: bool

    def address(self, name: str, key: str | None) -> str:
        """The page of a species; a search for its name where it has no page."""
        if self.by_key and key is not None:
            return self.prefix + quote(key, safe="")
        return _SEARCH + quote(name)


def catalogue(source: SourceRecord, checklist: str | None) -> Catalogue:
    """Where the species of a dataset are found: by key in GBIF's two checklists, by name in all others.

    The replica invents its keys, so that only names lead somewhere. See docs/adr/0007-one-checklist.md.
    """
    pages = {COL_XR_CHECKLIST: "https://www.gbif.org/taxon/", BACKBONE: "https://www.gbif.org/species/"}
    if source.mode == "replica" or checklist not in pages:
        return Catalogue(prefix=_SEARCH, by_key=False)
    return Catalogue(prefix=pages[checklist], by_key=True)


def record_address(source: SourceRecord, occurrence_key: str | None) -> str:
    """GBIF's page of an occurrence; empty for one's own photographs, which GBIF does not know."""
    if occurrence_key is None or source.mode == "folder":
        return ""
    return f"https://www.gbif.org/occurrence/{quote(occurrence_key, safe='')}"


def photo_address(source: SourceRecord, url: str | None) -> str:
    """Where a photograph is shown with its licence: iNaturalist's page of it, else the file's own address.

    Empty for one's own files, and for the replica, whose addresses exist only while it runs.
    """
    if url is None or source.mode == "replica" or not url.startswith(("http://", "https://")):
        return ""
    found = _PHOTO.match(url)
    return f"https://www.inaturalist.org/photos/{found[1]}" if found else url


def observation_address(source: SourceRecord, observation_id: str, url: str | None) -> str:
    """The page of an observation at iNaturalist, whose photograph `url` is; empty for those of others."""
    known = source.mode != "replica" and url is not None and _PHOTO.match(url) and observation_id.isdigit()
    return f"https://www.inaturalist.org/observations/{observation_id}" if known else ""


def doi_address(doi: str | None) -> str:
    """Where a DOI resolves; empty without one, and for those of GBIF's test system."""
    if doi is None or doi.startswith(TEST_PREFIX):
        return ""
    return f"https://doi.org/{quote(doi)}"


def citable(source: SourceRecord) -> bool:
    """Whether the data can be cited: they came from GBIF itself, and not from its test system or the replica."""
    return source.mode != "replica" and bool(doi_address(source.doi))
