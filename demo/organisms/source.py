"""Rendered organisms as a source: observations of New Zealand species whose photographs are drawn on request.

The species and their looks are rows of `new_zealand.csv`; the odd records that real data hold are in
`demo.organisms.oddities`. No drawing and no protocol here.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo.lineage import OCCURRENCE_LICENCE, accepted, draw, number, share, synonym
from demo.organisms.drawing import photograph
from demo.organisms.look_alikes import habits_in_list
from demo.organisms.oddities import SUBSPECIES, SYNONYMS, odd_observations, subspecies
from demo.organisms.pen import Look, colour_of
from demo.records import RANKS, Media, Occurrence, Taxon
from demo.releases import release_of
from demo.sightings import sighting

SPECIES_LIST = Path(__file__).with_name("new_zealand.csv")
# Licences as iNaturalist publishes them; a blank and "All rights reserved" are what the rules must deal with.
LICENCES = (
    *("http://creativecommons.org/licenses/by-nc/4.0/",) * 11,
    *("http://creativecommons.org/licenses/by/4.0/",) * 4,
    *("http://creativecommons.org/publicdomain/zero/1.0/",) * 3,
    "http://creativecommons.org/licenses/by-sa/4.0/",
    "http://creativecommons.org/licenses/by-nc-sa/4.0/",
    "http://creativecommons.org/licenses/by-nc-nd/4.0/",
    "All rights reserved",
    "",
)
# The share of the records of a species with another name that are filed under it.
RENAMED = 0.25


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One row of the species list: the taxon, its look and how many photographs both releases hold together."""

    taxon: Taxon
    look: Look
    photos: int


def read_kinds(path: Path = SPECIES_LIST) -> tuple[Kind, ...]:
    """The species list, in its order."""
    with path.open(newline="", encoding="utf-8") as stream:
        return tuple(_kind(row) for row in csv.DictReader(stream, strict=True))


class RenderedSource:
    """The New Zealand species of the list with their observations, and the odd records."""

    def __init__(self, release: int) -> None:
        """Make the records of release 1 or 2; photographs are drawn when they are asked for."""
        kinds = read_kinds()
        looks = {kind.taxon.accepted_key: kind.look for kind in kinds}
        usual = [one for kind in kinds for one in observations_of(kind)]
        odd = odd_observations(usual)
        everything = (*usual, *odd)
        # The odd records stay in both releases: each of their kinds has to be met in each of them.
        revised = release_of(usual, release=release, species=tuple(kind.taxon for kind in kinds), grows=True)
        self._occurrences = tuple(sorted((*revised, *odd), key=lambda one: one.gbif_id))
        # Photographs show what was first seen, whatever it is later identified as, and outlive their records.
        self._pictures: dict[str, tuple[Look, str]] = {}
        for one in everything:
            species = one.taxon.lineage.get("species")
            look = looks.get(species.key if species else "", kinds[draw("look", one.gbif_id) % len(kinds)].look)
            for item in one.media:
                if item.type == "StillImage":
                    self._pictures.setdefault(item.photo_id, (look, item.format))

    def occurrences(self) -> Sequence[Occurrence]:
        """All observations of the release, by gbif_id."""
        return self._occurrences

    def photograph(self, photo_id: str) -> bytes | None:
        """Draw a photograph; None for a number that no observation has, and for sounds."""
        if photo_id not in self._pictures:
            return None
        look, mime = self._pictures[photo_id]
        return photograph(look, seed=draw("picture", photo_id), encoding="PNG" if mime == "image/png" else "JPEG")


def observations_of(kind: Kind) -> list[Occurrence]:
    """Observations with one to three photographs each, until the species has its number of photographs."""
    observations: list[Occurrence] = []
    left = kind.photos
    while left:
        identity = f"{kind.taxon.lineage['species'].name} {len(observations)}"
        count = min(left, (1, 1, 1, 2, 2, 3)[draw("count", identity) % 6])
        observations.append(_observation(kind, identity=identity, photos=count))
        left -= count
    return observations


def _observation(kind: Kind, *, identity: str, photos: int) -> Occurrence:
    seen = sighting(identity, habits=habits_in_list(kind.taxon))
    licence = LICENCES[draw("licence", identity) % len(LICENCES)]
    photograph = Media(
        photo_id="",
        format="image/jpeg",
        type="StillImage",
        licence=licence,
        rights_holder=seen.observer,
        creator=seen.observer,
    )
    return Occurrence(
        gbif_id=number("gbif", identity, digits=12),
        observation_id=number("observation", identity, digits=12),
        taxon=_identified(kind.taxon, identity=identity),
        media=tuple(
            replace(photograph, photo_id=number("photo", identity, position, digits=12)) for position in range(photos)
        ),
        licence=OCCURRENCE_LICENCE,
        event_date=seen.event_date,
        latitude=seen.latitude,
        longitude=seen.longitude,
        recorded_by=seen.observer,
        issues=seen.issues,
        uncertainty_m=seen.uncertainty_m,
        information_withheld=seen.information_withheld,
    )


def _identified(taxon: Taxon, *, identity: str) -> Taxon:
    """The name under which the observer filed it: the species, a synonym of it, or a subspecies."""
    name = taxon.lineage["species"].name
    if share("name", identity) >= RENAMED:
        return taxon
    if name in SYNONYMS:
        return synonym(taxon, name=SYNONYMS[name])
    return subspecies(taxon, name=SUBSPECIES[name]) if name in SUBSPECIES else taxon


def _kind(row: dict[str, str]) -> Kind:
    look = Look(
        plan=row["plan"],
        main=colour_of(row["main"]),
        second=colour_of(row["second"]),
        third=colour_of(row["third"]),
        pattern=row["pattern"],
        trait=float(row["trait"]),
        habitat=row["habitat"],
    )
    taxon = accepted({rank: row[rank] for rank in RANKS}, authorship=row["authorship"])
    return Kind(taxon=taxon, look=look, photos=int(row["photos"]))
