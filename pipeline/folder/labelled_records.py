"""Turns rows of one's own table into the records of an archive. Nothing is invented: blank values stay blank.

A photograph is identified by its path as the table writes it and by the content of its file: it stays the same when
rows are added or the folder is moved, and becomes another one when the file is replaced. Keys of taxa are made from
their lineage, in a checklist of the table itself.
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
"""The checklist that the names follow: the table itself."""
SCHEME: Final = "file:"
"""Addresses: the quoted path, relative to the table or absolute; if the file could be read, the first 16 digits of its
SHA-256 are the fragment."""


def occurrence_of(values: Mapping[str, str]) -> dict[str, str | None]:
    """The line of occurrence.txt for a row; rows of one observation give the same line."""
    ranks = {rank: values[rank] or None for rank in RANKS}
    keys = {f"{rank}Key": _key(ranks, rank) for rank in RANKS}
    named = values["source_name"]
    synonym = bool(named) and named != values["species"]
    lowest = next((rank for rank in reversed(RANKS) if ranks[rank]), None)
    accepted = keys[f"{lowest}Key"] if lowest else None
    record: dict[str, str | None] = {
        # Without an observation, each photograph is one.
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
    # Readable, because rejections name it. What follows is no part of it, so that keys stay when a table gains it.
    key = f"{values['observation_id'] or values['path']} {digest_of(record)[:8]}".strip()
    beside = {
        "coordinateUncertaintyInMeters": values["coordinate_uncertainty_m"] or None,
        "informationWithheld": values["information_withheld"] or None,
        "recordedBy": values["recorded_by"] or None,
    }
    return {"gbifID": key, **record, **beside}


def media_of(values: Mapping[str, str], occurrence: Mapping[str, str | None], *, folder: Path) -> dict[str, str | None]:
    """The line of multimedia.txt for a row; its path is relative to `folder`, and the file need not exist."""
    return {
        "gbifID": occurrence["gbifID"],
        "identifier": _address(values["path"], folder=folder) if values["path"] else None,
        "type": "StillImage",
        "license": values["licence"] or None,
        "rightsHolder": values["rights_holder"] or None,
        "creator": values["creator"] or None,
    }


def file_of(address: str, *, folder: Path) -> Path:
    """The file that an address made by `media_of` names."""
    return folder / unquote(address.removeprefix(SCHEME).partition("#")[0])


def digest_in(address: str) -> str:
    """The first digits of the SHA-256 in an address; empty if the file could not be read."""
    return address.partition("#")[2]


def fragment_of(digest: "hashlib._Hash") -> str:
    """The digits of a SHA-256 that an address carries."""
    return digest.hexdigest()[:16]


def _address(path: str, *, folder: Path) -> str:
    for spelling in spellings(path):
        file = folder / spelling
        # The step that stores photographs reports files that cannot be read, with the reason.
        with contextlib.suppress(OSError, ValueError):
            # Opening a pipe would wait.
            if file.is_file():
                with file.open("rb") as stream:
                    return f"{SCHEME}{quote(spelling)}#{fragment_of(hashlib.file_digest(stream, 'sha256'))}"
    return f"{SCHEME}{quote(path)}"


def spellings(path: str) -> Iterable[str]:
    """A path as written and with forward slashes, each with composed and decomposed accents, as systems differ."""
    turned = (path, path.replace("\\", "/"))
    return dict.fromkeys(form for each in turned for form in (each, normalize("NFC", each), normalize("NFD", each)))


def _key(ranks: Mapping[str, str | None], rank: str) -> str | None:
    """A key made from a name and all ranks above it, so that homonymous genera differ.

    The key of a species depends only on its kingdom, so that a species with two spellings of its lineage stays one
    species; the more frequent lineage is used.
    """
    if ranks[rank] is None:
        return None
    above = ["kingdom"] if rank == "species" else RANKS[: RANKS.index(rank)]
    return digest_of(rank, *(ranks[each] for each in above), ranks[rank])
