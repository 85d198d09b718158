"""Turns rows of one's own table into the records of an archive. Nothing is invented: what is blank stays blank.

A photograph's identity is its path as the table writes it and the content of its file, so that it stays the same when
rows are added or the folder is moved, and is another one when the file is replaced. Keys of taxa come from their
lineage, in a checklist of one's own.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from unicodedata import normalize
from urllib.parse import quote, unquote

from ml.spec import RANKS
from pipeline.files import digest_of

CHECKLIST: Final = "own"
"""The checklist that the names follow: the table's own."""
SCHEME: Final = "file:"
"""Addresses: the path, relative to the table or absolute, quoted; where a file could be read, the first 16 digits of
its SHA-256 are the fragment."""


def occurrence_of(values: Mapping[str, str]) -> dict[str, str | None]:
    """The line of occurrence.txt for a row; rows of one observation give the same one."""
    ranks = {rank: values[rank] or None for rank in RANKS}
    keys = {f"{rank}Key": _key(ranks, rank) for rank in RANKS}
    named = values["source_name"]
    synonym = bool(named) and named != values["species"]
    lowest = next((rank for rank in reversed(RANKS) if ranks[rank]), None)
    accepted = keys[f"{lowest}Key"] if lowest else None
    record: dict[str, str | None] = {
        # The observation; without one, each photograph is its own.
        "catalogNumber": values["observation_id"] or f"photograph {digest_of(values['path'])}",
        "countryCode": values["country"] or None,
        "eventDate": values["event_date"] or None,
        "decimalLatitude": values["latitude"] or None,
        "decimalLongitude": values["longitude"] or None,
        "scientificName": named or (ranks[lowest] if lowest else None),
        "taxonRank": lowest.upper() if lowest else None,
        "taxonomicStatus": "SYNONYM" if synonym else "ACCEPTED",
        "taxonKey": digest_of("synonym", named, accepted) if synonym else accepted,
        "acceptedTaxonKey": accepted,
        "checklistKey": CHECKLIST,
        **ranks,
        **keys,
    }
    # Readable, since rejections are known by it.
    return {"gbifID": f"{values['observation_id'] or values['path']} {digest_of(record)[:8]}".strip(), **record}


def media_of(values: Mapping[str, str], occurrence: Mapping[str, str | None], *, folder: Path) -> dict[str, str | None]:
    """The line of multimedia.txt for a row whose photograph lies below `folder`; the file need not be there."""
    return {
        "gbifID": occurrence["gbifID"],
        "identifier": _address(values["path"], folder=folder) if values["path"] else None,
        "type": "StillImage",
        "license": values["licence"] or None,
        "rightsHolder": values["rights_holder"] or None,
        "creator": values["creator"] or None,
    }


def file_of(address: str, *, folder: Path) -> Path:
    """The file that an address of `media_of` stands for."""
    return folder / unquote(address.removeprefix(SCHEME).partition("#")[0])


def digest_in(address: str) -> str:
    """The beginning of the SHA-256 that an address names; empty where the file was not there."""
    return address.partition("#")[2]


def fragment_of(digest: "hashlib._Hash") -> str:
    """What an address says of the content of its file."""
    return digest.hexdigest()[:16]


def _address(path: str, *, folder: Path) -> str:
    for spelling in _spellings(path):
        file = folder / spelling
        # What cannot be read is told by the step that keeps photographs, with its reason.
        with contextlib.suppress(OSError, ValueError):
            # A pipe would be waited for.
            if file.is_file():
                with file.open("rb") as stream:
                    return f"{SCHEME}{quote(spelling)}#{fragment_of(hashlib.file_digest(stream, 'sha256'))}"
    return f"{SCHEME}{quote(path)}"


def _spellings(path: str) -> Iterable[str]:
    """A path as it stands, with the slashes of Windows turned, and with accents joined or apart, as systems differ."""
    turned = (path, path.replace("\\", "/"))
    return dict.fromkeys(form for each in turned for form in (each, normalize("NFC", each), normalize("NFD", each)))


def _key(ranks: Mapping[str, str | None], rank: str) -> str | None:
    """A key that depends on the whole path above a name: homonymous genera differ.

    A species' depends on its kingdom alone, so that one whose lineage is written in two ways stays one species; the
    more frequent lineage is taken.
    """
    if ranks[rank] is None:
        return None
    above = ["kingdom"] if rank == "species" else RANKS[: RANKS.index(rank)]
    return digest_of(rank, *(ranks[each] for each in above), ranks[rank])
