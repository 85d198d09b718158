"""The people who observe: a few dozen, each of whom lives in a town and looks mostly around it."""

import itertools
import math
from bisect import bisect_right
from functools import cache
from typing import Final

from demo.lineage import draw, share
from demo.towns import TOWNS, Town, distance_km

OBSERVERS: Final = (
    *("A. Ngata", "B. Tamihana", "C. Fraser", "D. Patel", "E. Lim", "F. Wirihana", "G. Hughes", "H. Sione"),
    *("I. Kereama", "J. Walker", "K. Nguyen", "L. Paewai", "M. Sharma", "N. Campbell", "O. Tipene", "P. Schmidt"),
    *("Q. Chen", "R. Horomia", "S. O'Brien", "T. Faleolo", "U. Singh", "V. Petrov", "W. Rangihau", "X. Zhang"),
    *("Y. Tanaka", "Z. Marsden", "A. Heke", "B. Robertson", "C. Latu", "D. Mahuta", "E. Thompson", "F. Pomare"),
    *("G. Kim", "H. Parata", "I. MacLeod", "J. Sadler"),
)
TRIP_KM: Final = 70.0
"""Standard deviation of the distance from home."""
TRAVEL: Final = 0.01
"""Share of every observer's attention that goes to any place, however far."""


def home(observer: str) -> Town:
    """Where an observer lives."""
    return TOWNS[draw("home", observer) % len(TOWNS)]


def observer_at(town: Town, *, identity: str) -> str:
    """Who made an observation around a town."""
    bounds = _bounds(town)
    return OBSERVERS[min(bisect_right(bounds, share("observer", identity) * bounds[-1]), len(OBSERVERS) - 1)]


@cache
def _bounds(town: Town) -> tuple[float, ...]:
    away = [distance_km(town[1:], home(observer)[1:]) / TRIP_KM for observer in OBSERVERS]
    # A few observe much and many little.
    zeal = [1 / (1 + draw("zeal", observer) % 6) for observer in OBSERVERS]
    near = [math.exp(-(far**2) / 2) + TRAVEL for far in away]
    return tuple(itertools.accumulate(one * other for one, other in zip(zeal, near, strict=True)))
