"""Names, ranks and keys of the replica's taxonomy, and what an occurrence is identified as.

Keys follow Catalogue of Life XR, GBIF's default taxonomy: short strings. Those that its readers type (Animalia, Aves,
...) are the real ones, the others are made from the lineage, so that a genus name used twice has two keys.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

COL_XR: Final = "7ddf754f-d193-4cc9-b351-99906754a03b"
"""GBIF's key of Catalogue of Life XR."""
RANKS: Final = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
_ALPHABET: Final = "23456789BCDFGHJKLMNPQRSTVWXYZ"
_REAL_KEYS: Final = {
    ("Animalia",): "N",
    ("Plantae",): "P",
    ("Fungi",): "F",
    ("Animalia", "Chordata"): "CH2",
    ("Animalia", "Chordata", "Aves"): "V2",
    ("Plantae", "Tracheophyta"): "TP",
    ("Plantae", "Tracheophyta", "Magnoliopsida"): "MG",
}

Lineage = tuple[str, str, str, str, str, str, str]
"""Names of the seven ranks, kingdom to species; blank where the taxonomy has none."""


def digest(*parts: object) -> int:
    """A stable 64-bit number for the parts: the replica's only source of chance."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "big")


def share(*parts: object) -> float:
    """A stable number in [0, 1) for the parts."""
    return digest(*parts) / 2**64


@cache
def taxon_key(names: tuple[str, ...]) -> str:
    """The key of the taxon whose lineage is `names`, blank ranks left out."""
    known = _REAL_KEYS.get(names)
    if known is not None:
        return known
    number, key = digest("taxon", *names), ""
    for _ in range(7):
        number, place = divmod(number, len(_ALPHABET))
        key += _ALPHABET[place]
    return key


@cache
def rank_keys(lineage: Lineage) -> dict[str, str]:
    """The key of each rank of a lineage that is not blank."""
    return {
        rank: taxon_key(tuple(name for name in lineage[: depth + 1] if name))
        for depth, rank in enumerate(RANKS)
        if lineage[depth]
    }


def as_lineage(names: Sequence[str]) -> Lineage:
    """Seven names as a lineage.

    Raises:
        ValueError: there are not seven.
    """
    kingdom, phylum, class_, order, family, genus, species = names
    return kingdom, phylum, class_, order, family, genus, species


@dataclass(frozen=True, kw_only=True, slots=True)
class Identification:
    """What an occurrence is identified as, as GBIF interprets it."""

    lineage: Lineage
    """Accepted names; blank below the rank of the identification."""
    scientific_name: str
    accepted_name: str
    rank: str
    """GBIF's taxonRank, upper case; blank without any taxonomy."""
    status: str
    """ACCEPTED, SYNONYM or DOUBTFUL; blank without any taxonomy."""
    key: str
    accepted_key: str
    issues: tuple[str, ...] = ()

    @property
    def keys(self) -> dict[str, str]:
        """The key of each rank."""
        return rank_keys(self.lineage)

    @property
    def all_keys(self) -> frozenset[str]:
        """Every key under which a search by taxon finds the occurrence."""
        return frozenset(key for key in (*self.keys.values(), self.key, self.accepted_key) if key)


def accepted(lineage: Lineage) -> Identification:
    """An identification to an accepted species."""
    key = rank_keys(lineage)["species"]
    species = lineage[-1]
    return Identification(
        lineage=lineage,
        scientific_name=species,
        accepted_name=species,
        rank="SPECIES",
        status="ACCEPTED",
        key=key,
        accepted_key=key,
    )


def synonym(lineage: Lineage, name: str) -> Identification:
    """An identification under a name that is a synonym of the species of `lineage`."""
    key = rank_keys(lineage)["species"]
    return Identification(
        lineage=lineage,
        scientific_name=name,
        accepted_name=lineage[-1],
        rank="SPECIES",
        status="SYNONYM",
        key=taxon_key((*(part for part in lineage if part), "synonym", name)),
        accepted_key=key,
    )


def subspecies(lineage: Lineage, epithet: str) -> Identification:
    """An identification to a subspecies: its own key, the species key of its species."""
    name = f"{lineage[-1]} {epithet}"
    key = taxon_key((*(part for part in lineage if part), name))
    return Identification(
        lineage=lineage,
        scientific_name=name,
        accepted_name=name,
        rank="SUBSPECIES",
        status="ACCEPTED",
        key=key,
        accepted_key=key,
    )


def above_species(lineage: Lineage, *issues: str) -> Identification:
    """An identification that stops above the species, at the lowest rank of `lineage` that is not blank."""
    rank, key = list(rank_keys(lineage).items())[-1]
    name = [part for part in lineage if part][-1]
    return Identification(
        lineage=lineage,
        scientific_name=name,
        accepted_name=name,
        rank=rank.upper(),
        status="ACCEPTED",
        key=key,
        accepted_key=key,
        issues=issues,
    )
