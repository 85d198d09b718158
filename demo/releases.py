"""What changes between release 1 and release 2 of a source. No reading and no drawing here.

A year on GBIF, in small. Every choice depends on the identity of the record alone, so that both releases can be made at
any time and on any machine:

- grows: about one observation in eleven is held back from release 1 (only where the source says that it grows; a folder
  of photographs holds every row of its CSV in release 1 and gains nothing);
- removed: about 2 % of the observations of release 1 are gone from release 2, with their photographs' records;
- re-identified: about 1 % belong to another species of the same genus, or, where it has no other, of the family;
- relicensed: the photographs of about 2 % carry another licence.
"""

from collections.abc import Sequence
from dataclasses import replace

from demo.lineage import draw, share
from demo.records import Media, Occurrence, Taxon

HELD_BACK = 1 / 11
REMOVED = 0.02
REIDENTIFIED = 0.01
RELICENSED = 0.02
# The directions in which people change their minds: opened, restricted, withdrawn.
NEW_LICENCES = (
    "http://creativecommons.org/publicdomain/zero/1.0/",
    "http://creativecommons.org/licenses/by-nc/4.0/",
    "All rights reserved",
)


def release_of(
    observations: Sequence[Occurrence], *, release: int, species: Sequence[Taxon], grows: bool
) -> tuple[Occurrence, ...]:
    """The observations of a release, by gbif_id.

    Args:
        observations: All observations that the source will ever have.
        release: 1 or 2.
        species: The accepted species of the source: what an observation can be re-identified as.
        grows: Whether release 2 holds observations that release 1 does not.

    Raises:
        ValueError: Two observations share a gbif_id.
    """
    if len({one.gbif_id for one in observations}) != len(observations):
        raise ValueError("two observations share a gbif_id; their identities must differ")
    ordered = sorted(observations, key=lambda one: one.gbif_id)
    if release == 1:
        return tuple(one for one in ordered if not (grows and _is_new(one)))
    return tuple(
        one if grows and _is_new(one) else _revised(one, species=species)
        for one in ordered
        if (grows and _is_new(one)) or not _is(one, "removed", REMOVED)
    )


def _is(one: Occurrence, change: str, rate: float) -> bool:
    return share(change, one.gbif_id) < rate


def _is_new(one: Occurrence) -> bool:
    return _is(one, "held back", HELD_BACK)


def _revised(one: Occurrence, *, species: Sequence[Taxon]) -> Occurrence:
    if _is(one, "re-identified", REIDENTIFIED):
        one = replace(one, taxon=_neighbour(one, species=species))
    if _is(one, "relicensed", RELICENSED):
        one = replace(one, media=tuple(_relicensed(item) for item in one.media))
    return one


def _neighbour(one: Occurrence, *, species: Sequence[Taxon]) -> Taxon:
    """Another species of the genus, else of the family, else the same taxon."""
    for rank in ("genus", "family"):
        name = one.taxon.lineage.get(rank)
        others = [
            other
            for other in species
            if name is not None and other.lineage.get(rank) == name and other.accepted_key != one.taxon.accepted_key
        ]
        if others:
            return others[draw("neighbour", one.gbif_id) % len(others)]
    return one.taxon


def _relicensed(item: Media) -> Media:
    others = [licence for licence in NEW_LICENCES if licence != item.licence]
    return replace(item, licence=others[draw("licence", item.photo_id) % len(others)])
