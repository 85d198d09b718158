"""Stable numbers and lineages for the records of every source. No release logic and no drawing here."""

import hashlib
from collections.abc import Mapping

from demo.records import RANKS, Name, Taxon

# iNaturalist's dataset on GBIF is published as CC BY-NC, whatever the licences of its photographs.
OCCURRENCE_LICENCE = "http://creativecommons.org/licenses/by-nc/4.0/legalcode"


def draw(*parts: object) -> int:
    """A 64-bit number that depends on nothing but the parts."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def share(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    return draw(*parts) / 2**64


def number(*parts: object, digits: int) -> str:
    """A number as text with exactly `digits` digits, so that the order of the texts is that of the numbers."""
    first = 10 ** (digits - 1)
    return str(first + draw(*parts) % (9 * first))


def accepted(ranks: Mapping[str, str], *, authorship: str = "") -> Taxon:
    """The accepted species of a row of seven ranks; blank ranks stay blank, as GBIF delivers them.

    A key depends on the whole path above the name, so that homonymous genera get different keys.
    """
    path: list[str] = []
    lineage: dict[str, Name] = {}
    for rank in RANKS:
        name = ranks[rank]
        path.append(name)
        if name:
            lineage[rank] = Name(name=name, key=number("taxon", *path, digits=10))
    key = lineage["species"].key
    return Taxon(
        taxon_key=key,
        accepted_key=key,
        scientific_name=f"{ranks['species']} {authorship}".strip(),
        rank="SPECIES",
        status="ACCEPTED",
        lineage=lineage,
    )


def synonym(taxon: Taxon, *, name: str) -> Taxon:
    """The accepted taxon as reached through another name, which has a key of its own."""
    return Taxon(
        taxon_key=number("synonym", name, taxon.accepted_key, digits=10),
        accepted_key=taxon.accepted_key,
        scientific_name=name,
        rank=taxon.rank,
        status="SYNONYM",
        lineage=taxon.lineage,
    )
