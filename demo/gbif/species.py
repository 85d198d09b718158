"""/v1/species/match and /v1/dataset: names to keys, as GBIF answers them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from demo.gbif.facets import DATASET_KEY
from demo.gbif.search import Index
from demo.records import RANKS, Name

_INFRASPECIFIC = {"SUBSPECIES", "VARIETY", "FORM"}
_MARKERS = {"\N{MULTIPLICATION SIGN}", "subsp.", "var.", "f."}


DATASET_DOI = "10.15468/ab3s5x"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A name that can be matched.

    Attributes:
        key: Key of the name.
        accepted_key: Key of the accepted name.
        scientific_name: The name with its authorship where known.
        canonical: The name without authorship.
        rank: Upper case.
        status: ACCEPTED, SYNONYM or DOUBTFUL.
        lineage: Ranks and names from the kingdom to the accepted name.
    """

    key: str
    accepted_key: str
    scientific_name: str
    canonical: str
    rank: str
    status: str
    lineage: tuple[tuple[str, Name], ...]

    @property
    def kingdom(self) -> str:
        """The kingdom's name, empty when unknown."""
        return dict(self.lineage)["kingdom"].name if self.lineage[:1] and self.lineage[0][0] == "kingdom" else ""


def canonical_name(name: str, *, rank: str) -> str:
    """A scientific name without its authorship: as many words as the rank has."""
    words = [word for word in name.split() if word not in _MARKERS]
    return " ".join(words[: 3 if rank in _INFRASPECIFIC else 2 if rank == "SPECIES" else 1])


class Names:
    """The names that the occurrences of a release are matched to, and all their ancestors."""

    def __init__(self, index: Index) -> None:
        """Remember the index; it is read at the first question."""
        self._index = index

    @cached_property
    def _usages(self) -> dict[str, Usage]:
        found: dict[str, Usage] = {}
        for occurrence in self._index.by_key.values():
            taxon = occurrence.taxon
            lineage = [(rank, taxon.lineage[rank]) for rank in RANKS if rank in taxon.lineage]
            for end, (rank, name) in enumerate(lineage, start=1):
                found[name.key] = Usage(
                    key=name.key,
                    accepted_key=name.key,
                    scientific_name=name.name,
                    canonical=name.name,
                    rank=rank.upper(),
                    status="ACCEPTED",
                    lineage=tuple(lineage[:end]),
                )
            if taxon.taxon_key and taxon.taxon_key not in found:
                found[taxon.taxon_key] = Usage(
                    key=taxon.taxon_key,
                    accepted_key=taxon.accepted_key,
                    scientific_name=taxon.scientific_name,
                    canonical=canonical_name(taxon.scientific_name, rank=taxon.rank),
                    rank=taxon.rank,
                    status=taxon.status,
                    lineage=tuple(lineage),
                )
        return found

    def _candidates(self, name: str, *, rank: str, kingdom: str) -> Iterator[Usage]:
        for usage in self._usages.values():
            named = name.casefold() in {usage.canonical.casefold(), usage.scientific_name.casefold()}
            if named and rank in {"", usage.rank} and kingdom.casefold() in {"", usage.kingdom.casefold()}:
                yield usage

    def match(self, name: str, *, rank: str = "", kingdom: str = "") -> dict[str, Any]:
        """The answer of /v1/species/match.

        A name that several taxa bear (the genus Morus) matches none of them unless the kingdom tells them apart.
        """
        candidates = list(self._candidates(name, rank=rank.upper(), kingdom=kingdom))
        if len(candidates) == 1:
            return _exact(candidates[0])
        none: dict[str, Any] = {"confidence": 100, "matchType": "NONE", "synonym": False}
        return none | ({"note": f"Multiple equal matches for {name}"} if candidates else {})


def _exact(usage: Usage) -> dict[str, Any]:
    document: dict[str, Any] = {
        "usageKey": usage.key,
        "scientificName": usage.scientific_name,
        "canonicalName": usage.canonical,
        "rank": usage.rank,
        "status": usage.status,
        "confidence": 99,
        "matchType": "EXACT",
        "synonym": usage.status == "SYNONYM",
    }
    if usage.key != usage.accepted_key:
        document["acceptedUsageKey"] = usage.accepted_key
    for rank, name in usage.lineage:
        document |= {rank: name.name, f"{rank}Key": name.key}
    return document


def dataset_document(*, modified: str) -> dict[str, Any]:
    """The answer of /v1/dataset for the one dataset that the replica holds."""
    return {
        "key": DATASET_KEY,
        "publishingOrganizationKey": "28eb1a3f-1c15-4a95-931a-4af90ecb574d",
        "doi": DATASET_DOI,
        "type": "OCCURRENCE",
        "title": "iNaturalist Research-grade Observations",
        "description": "An embedded replica of a small part of the dataset.",
        "language": "eng",
        "license": "http://creativecommons.org/licenses/by-nc/4.0/legalcode",
        "modified": modified,
        "citation": {"text": "iNaturalist contributors, iNaturalist. iNaturalist Research-grade Observations."},
    }
