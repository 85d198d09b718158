"""The one place of an organism of which there are several photographs."""

from typing import Final

import numpy as np

from ml.places.prior import EARTH_KM, unit
from ml.places.sites import Sites

AGREE_KM: Final = 1.0
"""How far apart photographs of one organism may have been taken, beside what their places are uncertain by."""
KIND: Final = "place"
"""Of the warning that they were not."""


def shared_place(sites: Sites) -> tuple[Sites, str | None]:
    """The place and the day that count for an organism, and a warning where its photographs disagree.

    The most precise place counts, the first where none is known better; the day is that of the same photograph, or
    else the first that is known.

    Args:
        sites: Of M >= 1 photographs.

    Returns:
        One site, and a sentence or None.
    """
    days = sites.day[~np.isnan(sites.day)]
    rows = np.flatnonzero(sites.placed)
    if not len(rows):
        return sites.rows(slice(0, 1))._replace(day=np.array([days[0] if len(days) else np.nan])), None
    precision = np.nan_to_num(sites.uncertainty_m[rows], nan=np.inf)
    chosen = rows[[int(precision.argmin())]]
    one = sites.rows(chosen)
    if len(days) and np.isnan(one.day[0]):
        one = one._replace(day=days[:1])
    points = unit(sites.latitude[rows], sites.longitude[rows])
    chords = np.linalg.norm(points - unit(one.latitude, one.longitude), axis=1)
    apart = 2 * EARTH_KM * np.arcsin(np.clip(chords / 2, 0, 1))
    unsure = (np.nan_to_num(sites.uncertainty_m[rows]) + np.nan_to_num(one.uncertainty_m)) / 1000
    if (apart <= AGREE_KM + unsure).all():
        return one, None
    which = "first" if np.isinf(precision).all() else "most precise"
    return one, (
        f"these photographs were taken up to {apart.max():,.3g} km apart, and one organism has one place: the {which} "
        f"place counts, {one.latitude[0]:.5g}, {one.longitude[0]:.5g}"
    )
