"""Species of the list that pixels hardly tell apart, and that place or season does.

- The tree wētā *Hemideina thoracica* and *Hemideina crassidens*: nearly the same drawing, seen all the year. The one
  lives around Auckland, the other around Nelson and Wellington, with 100 km of nobody's land between.
- The kōwhai *Sophora microphylla* and *Sophora tetraptera*: nearly the same drawing, in the same range. The one flowers
  in July and August, the other in November and December.

Every other species has the habits that its key draws.
"""

from typing import Final

from demo.habits import Habits, Range, Season, habits_of
from demo.records import Taxon
from demo.towns import town

APART_IN_PLACE: Final = ("Hemideina thoracica", "Hemideina crassidens")
"""Look-alikes with disjoint ranges."""
APART_IN_SEASON: Final = ("Sophora microphylla", "Sophora tetraptera")
"""Look-alikes with disjoint seasons."""

_ALL_THE_YEAR: Final = Season(peak=1, width_days=None)
_NORTH, _SOUTH = (Range(centres=(town(name),), extent_km=75.0) for name in ("Auckland", "Nelson"))
_LOWLANDS: Final = Range(centres=(town("Napier"), town("Christchurch")), extent_km=160.0)
_GIVEN: Final = {
    "Hemideina thoracica": Habits(range=_NORTH, season=_ALL_THE_YEAR),
    "Hemideina crassidens": Habits(range=_SOUTH, season=_ALL_THE_YEAR),
    "Sophora microphylla": Habits(range=_LOWLANDS, season=Season(peak=213, width_days=18.0)),
    "Sophora tetraptera": Habits(range=_LOWLANDS, season=Season(peak=326, width_days=18.0)),
}


def habits_in_list(taxon: Taxon) -> Habits:
    """The habits of a species of the list."""
    given = _GIVEN.get(taxon.lineage["species"].name)
    return given if given is not None else habits_of(taxon.accepted_key)
