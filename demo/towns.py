"""Towns of New Zealand, where observers live and around which they look: points on land, with names for people."""

import math
from typing import Final, NamedTuple

EARTH_KM: Final = 6371.0088


class Town(NamedTuple):
    """A town, in degrees (WGS 84)."""

    name: str
    latitude: float
    longitude: float


TOWNS: Final = (
    Town("Kaitaia", -35.11, 173.26),
    Town("Kerikeri", -35.23, 173.95),
    Town("Whangārei", -35.73, 174.32),
    Town("Dargaville", -35.94, 173.87),
    Town("Warkworth", -36.40, 174.66),
    Town("Auckland", -36.88, 174.76),
    Town("Coromandel", -36.76, 175.50),
    Town("Thames", -37.14, 175.55),
    Town("Tauranga", -37.72, 176.15),
    Town("Hamilton", -37.79, 175.28),
    Town("Whakatāne", -37.98, 176.98),
    Town("Rotorua", -38.14, 176.25),
    Town("Te Kūiti", -38.33, 175.16),
    Town("Gisborne", -38.65, 177.98),
    Town("Taupō", -38.69, 176.07),
    Town("Taumarunui", -38.88, 175.26),
    Town("Wairoa", -39.03, 177.40),
    Town("New Plymouth", -39.08, 174.08),
    Town("Ohakune", -39.41, 175.40),
    Town("Napier", -39.52, 176.87),
    Town("Whanganui", -39.92, 175.05),
    Town("Dannevirke", -40.21, 176.10),
    Town("Palmerston North", -40.36, 175.62),
    Town("Levin", -40.62, 175.29),
    Town("Tākaka", -40.87, 172.80),
    Town("Masterton", -40.95, 175.66),
    Town("Wellington", -41.27, 174.78),
    Town("Nelson", -41.29, 173.26),
    Town("Blenheim", -41.52, 173.94),
    Town("Westport", -41.77, 171.62),
    Town("Murchison", -41.80, 172.33),
    Town("Kaikōura", -42.38, 173.66),
    Town("Greymouth", -42.46, 171.22),
    Town("Hanmer Springs", -42.52, 172.83),
    Town("Hokitika", -42.73, 170.98),
    Town("Arthur's Pass", -42.94, 171.56),
    Town("Franz Josef", -43.40, 170.18),
    Town("Christchurch", -43.55, 172.62),
    Town("Akaroa", -43.79, 172.95),
    Town("Haast", -43.88, 169.05),
    Town("Ashburton", -43.90, 171.75),
    Town("Lake Tekapo", -44.00, 170.48),
    Town("Twizel", -44.26, 170.10),
    Town("Timaru", -44.38, 171.22),
    Town("Wānaka", -44.70, 169.14),
    Town("Queenstown", -45.03, 168.68),
    Town("Ōamaru", -45.08, 170.97),
    Town("Alexandra", -45.25, 169.38),
    Town("Te Anau", -45.42, 167.72),
    Town("Dunedin", -45.86, 170.48),
    Town("Gore", -46.10, 168.94),
    Town("Balclutha", -46.23, 169.74),
    Town("Invercargill", -46.41, 168.36),
    Town("Oban", -46.90, 168.12),
)


def town(name: str) -> Town:
    """The town of a name.

    Raises:
        KeyError: There is no such town.
    """
    return {one.name: one for one in TOWNS}[name]


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance between two pairs of latitude and longitude in degrees."""
    (south, west), (north, east) = (tuple(map(math.radians, place)) for place in (one, other))
    half = math.sin((north - south) / 2) ** 2 + math.cos(south) * math.cos(north) * math.sin((east - west) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
