"""A circle on the globe, as lists of a place use it: the box around it, and how people write places and directions."""

import math
from dataclasses import dataclass
from typing import Final

EARTH_KM: Final = 6371.0088
"""Mean radius of the Earth (IUGG)."""
FARTHEST_KM: Final = math.pi * EARTH_KM
"""From a place to its antipode."""
COMPASS: Final = (
    "north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west",
)  # fmt: skip
_SLACK: Final = 1e-9
"""Degrees by which a box is wider than it must be, for what rounding takes away."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """Latitudes and longitudes that hold a circle, in degrees.

    Across the 180th meridian the longitudes are two spans; otherwise the second is empty.
    """

    south: float
    north: float
    west: float
    east: float
    west_beyond: float
    east_beyond: float


@dataclass(frozen=True, kw_only=True)
class Circle:
    """All places that are no farther from one place than a radius."""

    latitude: float
    """Degrees, WGS 84, from -90 to 90."""
    longitude: float
    """Degrees, WGS 84, from -180 to 180."""
    radius_km: float
    """0 or more."""

    def reach(self) -> tuple[float, float, float]:
        """The least and the greatest latitude, and how far the circle reaches west and east, in degrees of longitude.

        A circle that holds a pole reaches 180 degrees.
        """
        angle = min(self.radius_km / EARTH_KM, math.pi)
        reach = math.degrees(angle) + _SLACK
        south, north = self.latitude - reach, self.latitude + reach
        if south <= -90 or north >= 90:
            return max(south, -90.0), min(north, 90.0), 180.0
        # The meridian that only touches the circle does so poleward of its middle.
        half = math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(self.latitude))))
        return south, north, math.degrees(half) + _SLACK

    def box(self) -> Box:
        """The smallest box that holds the circle; around a pole it has all longitudes."""
        south, north, half = self.reach()
        if half >= 180:
            return Box(south=south, north=north, west=-180.0, east=180.0, west_beyond=1.0, east_beyond=0.0)
        west, east = self.longitude - half, self.longitude + half
        if west <= -180:
            return Box(south=south, north=north, west=-180.0, east=east, west_beyond=west + 360, east_beyond=180.0)
        if east >= 180:
            return Box(south=south, north=north, west=west, east=180.0, west_beyond=-180.0, east_beyond=east - 360)
        return Box(south=south, north=north, west=west, east=east, west_beyond=1.0, east_beyond=0.0)


def direction(latitude: float, longitude: float, *, to: tuple[float, float]) -> str:
    """The way from one place to another as the crow flies begins: `north`, `south-west`.

    Args:
        latitude: Of the first place, in degrees.
        longitude: Of the first place, in degrees.
        to: Latitude and longitude of the other, in degrees.
    """
    here, there = math.radians(latitude), math.radians(to[0])
    turn = math.radians(to[1] - longitude)
    bearing = math.atan2(
        math.sin(turn) * math.cos(there),
        math.cos(here) * math.sin(there) - math.sin(here) * math.cos(there) * math.cos(turn),
    )
    return COMPASS[round(math.degrees(bearing) / 45) % 8]


def written(latitude: float, longitude: float) -> str:
    """A place for people, with the digits that it has: `41.29° S, 174.78° E`."""
    return f"{_angle(latitude, 'N', 'S')}, {_angle(longitude, 'E', 'W')}"


def kilometres(distance: float) -> str:
    """A distance for people: `0.4 km`, `12 km`, `1,240 km`."""
    digits = 1 if 0 < distance < 9.95 and round(distance, 1) != round(distance) else 0
    return f"{distance:,.{digits}f} km"


def _angle(value: float, positive: str, negative: str) -> str:
    # The equator and the meridians of 0 and 180 degrees lie on neither side.
    if value == 0 or (abs(value) == 180 and positive == "E"):
        return f"{abs(value):g}\N{DEGREE SIGN}"
    return f"{abs(round(value, 5)):.10g}\N{DEGREE SIGN} {positive if value > 0 else negative}"
