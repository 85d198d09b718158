"""Occurrences and their media, where they come from, and what a second release changes about them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from demo.taxa import Identification, Lineage, accepted, digest, share

INATURALIST: Final = "50c9509d-22c7-4a22-a47d-8c48425ef4a7"
"""GBIF's key of "iNaturalist Research-grade Observations"."""
RECORD_LICENCES: Final = {
    "CC0_1_0": "http://creativecommons.org/publicdomain/zero/1.0/legalcode",
    "CC_BY_4_0": "http://creativecommons.org/licenses/by/4.0/legalcode",
    "CC_BY_NC_4_0": "http://creativecommons.org/licenses/by-nc/4.0/legalcode",
}
"""The three licences that GBIF allows for records; photographs may carry others."""
MEDIA_LICENCES: Final = (
    ("http://creativecommons.org/licenses/by-nc/4.0/", 0.55),
    ("http://creativecommons.org/licenses/by/4.0/", 0.17),
    ("http://creativecommons.org/publicdomain/zero/1.0/", 0.10),
    ("http://creativecommons.org/licenses/by-sa/4.0/", 0.05),
    ("http://creativecommons.org/licenses/by-nc-sa/4.0/", 0.04),
    ("http://creativecommons.org/licenses/by-nc-nd/4.0/", 0.03),
    ("all rights reserved", 0.04),
    ("", 0.02),
)
"""Licences of photographs with their shares: mixed as iNaturalist's are."""
REGIONS: Final = (
    ("Auckland", -36.9, 174.8),
    ("Waikato", -37.8, 175.3),
    ("Wellington", -41.3, 174.8),
    ("Nelson", -41.3, 173.2),
    ("Canterbury", -43.5, 172.4),
    ("West Coast", -42.9, 171.3),
    ("Otago", -45.3, 169.8),
    ("Southland", -46.1, 168.1),
)
"""New Zealand's regions with a point in each."""
OBSERVERS: Final = ("Aroha Ngata", "Ben Clarke", "Chloe Marsh", "David Tane", "Eru Paki", "Fiona Reid", "Grace Lowe")
"""Made-up people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """One media item."""

    media_id: str
    type: str = "StillImage"
    format: str = "image/jpeg"
    extension: str = "jpg"
    licence: str
    rights_holder: str
    creator: str

    def address(self, base: str) -> str:
        """Where the item is served; `base` is a scheme and a host."""
        if self.type == "Sound":
            return f"{base}/sounds/{self.media_id}.{self.extension}"
        return f"{base}/photos/{self.media_id}/original.{self.extension}"

    @property
    def reference(self) -> str:
        """The item's page on iNaturalist."""
        return f"https://www.inaturalist.org/{'sounds' if self.type == 'Sound' else 'photos'}/{self.media_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurrence:
    """One record of the iNaturalist dataset."""

    key: int
    """gbifID."""
    observation: int
    """iNaturalist's number of the observation."""
    identification: Identification
    media: tuple[Media, ...]
    observer: str
    date: dt.date
    region: str
    latitude: float
    """WGS84, degrees."""
    longitude: float
    licence: str
    """A key of `RECORD_LICENCES`."""


class Source(Protocol):
    """Where occurrences and photographs come from."""

    @property
    def fingerprint(self) -> str:
        """What distinguishes this source's content from another's."""

    def occurrences(self, release: int) -> tuple[Occurrence, ...]:
        """All records of a release, ordered by key."""

    def original(self, photo_id: str) -> bytes | None:
        """The JPEG of a photograph of either release; None when there is none of this id."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Which share of the records a second release changes, each record by at most one of them."""

    removed: float
    relicensed: float
    reidentified: float


class Identifiers:
    """Numbers that are stable for what they number and unique among themselves."""

    def __init__(self, kind: str, *, first: int, span: int) -> None:
        self._kind, self._first, self._span = kind, first, span
        self._taken: set[int] = set()

    def of(self, *parts: object) -> int:
        """The number of `parts`; asked once for each."""
        number = self._first + digest(self._kind, *parts) % self._span
        while number in self._taken:
            number += 1
        self._taken.add(number)
        return number


def pick_licence(*parts: object) -> str:
    """A media licence, with the shares of `MEDIA_LICENCES`."""
    left = share("licence", *parts)
    for licence, weight in MEDIA_LICENCES:
        if left < weight:
            return licence
        left -= weight
    return MEDIA_LICENCES[0][0]


def make_occurrence(
    *,
    key: int,
    observation: int,
    identification: Identification,
    media: tuple[Media, ...],
    observer: str,
    date: dt.date,
) -> Occurrence:
    """A record with a place and a licence made from its key."""
    region, latitude, longitude = REGIONS[digest("region", key) % len(REGIONS)]
    return Occurrence(
        key=key,
        observation=observation,
        identification=identification,
        media=media,
        observer=observer,
        date=date,
        region=region,
        latitude=round(latitude + share("latitude", key) * 0.3 - 0.15, 6),
        longitude=round(longitude + share("longitude", key) * 0.3 - 0.15, 6),
        licence=list(RECORD_LICENCES)[(digest("record licence", key) % 10 + 5) // 6],
    )


def second_release(occurrences: Sequence[Occurrence], *, changes: Changes) -> list[Occurrence]:
    """What a second release makes of the records of the first: some go, some change, keys and photographs stay."""
    species = sorted({item.identification.lineage for item in occurrences if item.identification.lineage[-1]})
    kept: list[Occurrence] = []
    for item in occurrences:
        chance = share("release 2", item.key)
        if chance < changes.removed:
            continue
        chance -= changes.removed
        if chance < changes.relicensed:
            kept.append(_relicensed(item))
        elif chance < changes.relicensed + changes.reidentified and item.identification.lineage[-1]:
            kept.append(replace(item, identification=accepted(_nearest_other(item.identification.lineage, species))))
        else:
            kept.append(item)
    return kept


def _relicensed(item: Occurrence) -> Occurrence:
    """The observer chose another licence: CC BY, or CC BY-NC where it was CC BY."""
    by, by_nc = MEDIA_LICENCES[1][0], MEDIA_LICENCES[0][0]
    media = tuple(replace(one, licence=by_nc if one.licence == by else by) for one in item.media)
    return replace(item, media=media)


def _nearest_other(lineage: Lineage, species: Sequence[Lineage]) -> Lineage:
    """Another species, as closely related as there is; the lineage itself when it is the only one."""
    others = [other for other in species if other != lineage]
    if not others:
        return lineage

    def related(other: Lineage) -> int:
        return next((depth for depth in range(7) if lineage[depth] != other[depth]), 7)

    closest = max(map(related, others))
    candidates = [other for other in others if related(other) == closest]
    return candidates[digest("other", *lineage) % len(candidates)]
