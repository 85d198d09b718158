"""What the replica serves, as data: taxa, media and occurrences. No protocol and no drawing here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")


@dataclass(frozen=True, kw_only=True)
class Name:
    """One rank of a lineage: the name and its key in the checklist."""

    name: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Taxon:
    """What an occurrence was matched to, in GBIF's terms.

    Attributes:
        taxon_key: Key of the matched name (a synonym's own key for synonyms).
        accepted_key: Key of the accepted name; equal to `taxon_key` unless a synonym.
        scientific_name: The matched name with its authorship where known.
        rank: SPECIES, SUBSPECIES, GENUS, ..., upper case.
        status: ACCEPTED, SYNONYM, DOUBTFUL; empty when nothing matched.
        lineage: Rank to name, of the accepted taxon; ranks that GBIF leaves blank are absent.
    """

    taxon_key: str
    accepted_key: str
    scientific_name: str
    rank: str
    status: str
    lineage: dict[str, Name]


@dataclass(frozen=True, kw_only=True)
class Media:
    """One media item of an observation.

    Attributes:
        photo_id: iNaturalist's photograph number, as text.
        format: MIME type, as the publisher states it.
        type: StillImage or Sound.
        licence: An address, a text, or empty.
    """

    photo_id: str
    format: str
    type: str
    licence: str
    rights_holder: str
    creator: str


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """One GBIF occurrence of the iNaturalist dataset.

    Attributes:
        event_date: A day, a moment, a month, a year or a range of them (ISO 8601), or empty.
        latitude: Degrees, or None where the record has no place.
        issues: In GBIF's words.
        uncertainty_m: Radius that holds the true place, or None where it is not stated.
        information_withheld: What iNaturalist says about an obscured place, or empty.
    """

    gbif_id: str
    observation_id: str
    taxon: Taxon
    media: tuple[Media, ...]
    licence: str
    event_date: str
    latitude: float | None
    longitude: float | None
    recorded_by: str
    issues: tuple[str, ...] = ()
    uncertainty_m: float | None = None
    information_withheld: str = ""


class Source(Protocol):
    """Where occurrences and photographs come from: rendered organisms, or a folder of labelled photographs."""

    def occurrences(self) -> Sequence[Occurrence]:
        """All occurrences of the release, in a stable order (by gbif_id)."""
        ...

    def photograph(self, photo_id: str) -> bytes | None:
        """The original bytes of a photograph (JPEG; PNG where `Media.format` says so); None when unknown."""
        ...
