"""Place, day and observer of each observation, as iNaturalist and GBIF publish them, with what is wrong with a few.

The true place follows the habits of the species, but for strays; then the record of it is made: obscured, without its
uncertainty, at 0/0, in another country, with a range of dates, ... Every choice depends on the identity of the
observation and the habits of its species alone.
"""

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple

from demo.habits import SCATTER, Habits, Range
from demo.lineage import draw, share
from demo.observers import observer_at
from demo.towns import EARTH_KM, TOWNS, Town

STRAYED_PLACE, STRAYED_SEASON = 0.03, 0.02
"""Shares of the observations outside the range, and outside the season of their species."""
CELL: Final = 0.2
"""Degrees of latitude and longitude of the cells in which iNaturalist moves what it obscures."""
ROUNDED: Final = ("COORDINATE_ROUNDED", "CONTINENT_DERIVED_FROM_COORDINATES")
"""GBIF says so of almost every record of iNaturalist."""
AUSTRALIA: Final = ((-33.87, 151.21), (-37.81, 144.96), (-27.47, 153.03), (-42.88, 147.33))
PLACE_FAULTS: Final = {"zero": 0.008, "abroad": 0.008, "out of range": 0.005, "hidden": 0.006, "asked": 0.02}
"""Kind of record to its share; `asked` is obscured at the request of the observer."""
UNSTATED: Final = 0.08
"""Share of the places without an uncertainty."""
DATE_FAULTS: Final = {"days": 0.015, "weeks": 0.01, "hours": 0.01, "month": 0.015, "year": 0.005}
"""What is published of the date to its share: ranges of days, weeks and hours, only the month, only the year."""
FIRST_YEAR, YEARS = 2016, 9


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """Where, when and by whom something was seen, as it is published.

    Attributes:
        latitude: Degrees, or None where the record has no place.
        uncertainty_m: Radius that holds the true place, or None where it is not stated.
        information_withheld: What iNaturalist says about an obscured place, or empty.
        event_date: A day, a moment, a month, a year or a range of them, as GBIF writes it (ISO 8601).
        issues: Of the place, in GBIF's words.
        observer: Who saw it.
    """

    latitude: float | None
    longitude: float | None
    uncertainty_m: float | None
    information_withheld: str
    event_date: str
    issues: tuple[str, ...]
    observer: str


def sighting(identity: str, *, habits: Habits) -> Sighting:
    """The sighting of an observation.

    Args:
        identity: What names the observation for good.
        habits: Of the species that was seen, whatever it is identified as later.
    """
    stray = share("stray", identity)
    town = _town(habits.range, identity=identity, strays=stray < STRAYED_PLACE)
    latitude, longitude = (
        degrees + 2 * SCATTER * (share(axis, identity) - 0.5)
        for axis, degrees in (("latitude", town.latitude), ("longitude", town.longitude))
    )
    late = STRAYED_PLACE <= stray < STRAYED_PLACE + STRAYED_SEASON
    chance = share("day", identity)
    day = habits.season.opposite(chance) if late else habits.season.day(chance)
    published = _published_place((latitude, longitude), identity=identity, threatened=habits.threatened)
    return Sighting(
        **published._asdict(),
        event_date=_published_date(day, identity=identity),
        observer=observer_at(town, identity=identity),
    )


def obscured_uncertainty_m(latitude: float) -> int:
    """The uncertainty that iNaturalist states for an obscured place: the diagonal of its cell, in metres."""
    side = math.radians(CELL) * EARTH_KM * 1000
    middle = (math.floor(latitude / CELL) + 0.5) * CELL
    return math.ceil(math.hypot(side, side * math.cos(math.radians(middle))))


def _town(where: Range, *, identity: str, strays: bool) -> Town:
    outside = [town for town, density in zip(TOWNS, where.densities, strict=True) if not density]
    if strays and outside:
        return outside[draw("place", identity) % len(outside)]
    bounds = list(itertools.accumulate(where.densities))
    return TOWNS[bisect_right(bounds, share("place", identity) * bounds[-1])]


class _Place(NamedTuple):
    latitude: float | None
    longitude: float | None
    uncertainty_m: float | None = None
    information_withheld: str = ""
    issues: tuple[str, ...] = ()


def _published_place(true: tuple[float, float], *, identity: str, threatened: bool) -> _Place:
    latitude, longitude = (round(degrees, 6) for degrees in true)
    kind = _kind(PLACE_FAULTS, chance=share("place fault", identity))
    wide = float(obscured_uncertainty_m(latitude))
    if kind == "zero":
        return _Place(0.0, 0.0, issues=("ZERO_COORDINATE",))
    if kind == "out of range":
        return _Place(None, None, issues=("COORDINATE_OUT_OF_RANGE",))
    if kind == "hidden":
        return _Place(None, None, wide, "Coordinates hidden at the request of the observer")
    if threatened or kind == "asked":
        why = "to protect threatened taxon" if threatened else "at the request of the observer"
        south, west = (
            round((math.floor(degrees / CELL) + share("moved", axis, identity)) * CELL, 6)
            for axis, degrees in (("latitude", latitude), ("longitude", longitude))
        )
        return _Place(south, west, wide, f"Coordinate uncertainty increased to {wide:.0f}m {why}", ROUNDED)
    uncertainty = None if share("unstated", identity) < UNSTATED else _uncertainty_m(identity)
    if kind == "abroad":
        abroad = AUSTRALIA[draw("abroad", identity) % len(AUSTRALIA)]
        return _Place(*abroad, uncertainty, issues=(*ROUNDED, "COUNTRY_COORDINATE_MISMATCH"))
    return _Place(latitude, longitude, uncertainty, issues=ROUNDED)


def _uncertainty_m(identity: str) -> float:
    """Mostly what a telephone states, sometimes a place found on a map: from 3 m to 10 km."""
    return float(round(3 * (10_000 / 3) ** (share("uncertainty", identity) ** 2)))


def _published_date(day: int, *, identity: str) -> str:
    year = FIRST_YEAR + draw("year", identity) % YEARS
    # 29 February is left out, so that a day of the year is the same date in every year.
    first = (date(2023, 1, 1) + timedelta(days=day - 1)).replace(year=year)
    kind = _kind(DATE_FAULTS, chance=share("date fault", identity))
    if kind in {"days", "weeks"}:
        length = 1 + draw("length", identity) % 6 if kind == "days" else 35 + draw("length", identity) % 40
        # A range over a new year would have no year.
        last = min(first + timedelta(days=length), date(year, 12, 31))
        return f"{min(first, last - timedelta(days=length)).isoformat()}/{last.isoformat()}"
    hour, minute, second = 7 + draw("hour", identity) % 13, draw("minute", identity) % 60, draw("second", identity) % 60
    if kind == "hours":
        return f"{first}T{hour:02d}:{minute:02d}/{first}T{hour + 2:02d}:{minute:02d}"
    if kind:
        return first.isoformat()[: {"month": 7, "year": 4}[kind]]
    # Few records have no time, and some no seconds.
    precision = share("time", identity)
    if precision < 0.05:
        return first.isoformat()
    return f"{first}T{hour:02d}:{minute:02d}" + (f":{second:02d}" if precision > 0.3 else "")


def _kind(shares: dict[str, float], *, chance: float) -> str:
    """The name whose share a number in [0, 1) falls into; empty for most."""
    names = list(shares)
    place = bisect_right(list(itertools.accumulate(shares.values())), chance)
    return names[place] if place < len(names) else ""
