"""Where and when each species is found: a range in New Zealand and a season, drawn from the key of the species.

The key is that of the accepted species, so that a synonym, another release and another order of the rows move nothing.
A range is one centre or two with an extent; a season is a day of activity with a width, or the whole year. Both end:
beyond `REACH` extents or widths, a record is a stray.
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property
from statistics import NormalDist
from typing import Final

from demo.lineage import draw, share
from demo.towns import TOWNS, Town, distance_km

REACH: Final = 2.5
"""Standard deviations at which ranges and seasons end."""
SCATTER: Final = 0.06
"""Degrees by which observations lie around a town at most, both ways."""
SCATTER_KM: Final = 9.0
"""No observation of a town lies farther from it."""
DAYS: Final = 365
"""Days of a season's circle; the last day of a leap year is left out."""
EXTENTS_KM: Final = (70.0, 100.0, 150.0, 220.0, 320.0)
WIDTHS_DAYS: Final = (15.0, 24.0, 35.0, 50.0)
WIDESPREAD, TWO_CENTRES, ALL_THE_YEAR, THREATENED = 0.15, 0.3, 0.25, 0.06
"""Shares of the species that live everywhere, around two centres, that are seen all the year, and that are threatened.
"""


@dataclass(frozen=True, kw_only=True)
class Range:
    """Where a species lives: densest at its centres, none beyond `REACH` extents.

    Attributes:
        centres: One town or two.
        extent_km: Standard deviation of the distance; infinite for a species that lives everywhere.
    """

    centres: tuple[Town, ...]
    extent_km: float

    def density(self, town: Town) -> float:
        """How common the species is around a town, from 0 to 1."""
        away = min(distance_km(town[1:], centre[1:]) for centre in self.centres) / self.extent_km
        return math.exp(-(away**2) / 2) if away <= REACH else 0.0

    @cached_property
    def densities(self) -> tuple[float, ...]:
        """`density` of every town, in their order."""
        return tuple(map(self.density, TOWNS))

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether the true place of an observation is no stray."""
        away = min(distance_km((latitude, longitude), centre[1:]) for centre in self.centres)
        return away <= REACH * self.extent_km + SCATTER_KM


@dataclass(frozen=True, kw_only=True)
class Season:
    """When a species is seen.

    Attributes:
        peak: Day of the year, from 1 to `DAYS`.
        width_days: Standard deviation on the circle of days; None: the whole year.
    """

    peak: int
    width_days: float | None

    def day(self, chance: float) -> int:
        """The day of the year at a quantile, from 1 to `DAYS`.

        Args:
            chance: From 0 (inclusive) to 1 (exclusive).
        """
        if self.width_days is None:
            return 1 + int(chance * DAYS)
        normal = NormalDist()
        low = normal.cdf(-REACH)
        return 1 + (self.peak - 1 + round(self.width_days * normal.inv_cdf(low + chance * (1 - 2 * low)))) % DAYS

    def opposite(self, chance: float) -> int:
        """A day out of season, at a quantile; a species of the whole year has none and is seen as ever."""
        if self.width_days is None:
            return self.day(chance)
        reach = math.ceil(REACH * self.width_days) + 2
        return 1 + (self.peak - 1 + reach + int(chance * (DAYS - 2 * reach))) % DAYS

    def holds(self, day: int) -> bool:
        """Whether a day of the year, from 1 to 366, is in season."""
        apart = abs(day - self.peak) % DAYS
        return self.width_days is None or min(apart, DAYS - apart) <= REACH * self.width_days + 1


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What a species does that a photograph does not show.

    Attributes:
        threatened: iNaturalist publishes its places within a cell of 0.2 degrees only.
    """

    range: Range
    season: Season
    threatened: bool = False


@cache
def habits_of(species_key: str) -> Habits:
    """The habits of a species, which depend on nothing but its key."""
    centre = TOWNS[draw("centre", species_key) % len(TOWNS)]
    second = TOWNS[draw("second centre", species_key) % len(TOWNS)]
    two = share("centres", species_key) < TWO_CENTRES and second != centre
    extent = EXTENTS_KM[draw("extent", species_key) % len(EXTENTS_KM)]
    width = WIDTHS_DAYS[draw("width", species_key) % len(WIDTHS_DAYS)]
    return Habits(
        range=Range(
            centres=(centre, second) if two else (centre,),
            extent_km=math.inf if share("widespread", species_key) < WIDESPREAD else extent,
        ),
        season=Season(
            peak=1 + draw("peak", species_key) % DAYS,
            width_days=None if share("season", species_key) < ALL_THE_YEAR else width,
        ),
        threatened=share("threatened", species_key) < THREATENED,
    )
