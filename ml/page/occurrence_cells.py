"""Where a version has learnt, for a map: the frame around its occurrences, and how many lie in coarse cells.

A cell is never smaller than what iNaturalist hides the places of threatened species in.
"""

from typing import Any, Final

import numpy as np

from ml.places.prior import Records
from ml.taxonomy import Floats

DEGREES: Final = (0.5, 1.0, 2.0, 5.0)
"""Sides of a cell. iNaturalist moves what it hides within a cell of 0.2 degrees."""
ACROSS: Final = 120
"""Cells that a map is wide or high, at most."""
_KILOMETRES: Final = 111.32
"""Of one degree of a meridian."""


def bounds_of(records: Records) -> list[float] | None:
    """West, south, east and north of all occurrences, in whole degrees; None without any.

    Where east is less than west, the 180th meridian lies between them (as in GeoJSON, RFC 7946).
    """
    if not len(records.latitude):
        return None
    west, east = _shortest(records.longitude.astype(np.float64))
    south, north = float(np.floor(records.latitude.min())), float(np.ceil(records.latitude.max()))
    return [west, south, east, north]


def _shortest(longitude: Floats) -> tuple[float, float]:
    """The shortest way around all longitudes, from west to east."""
    around = np.unique(np.floor(longitude) % 360)
    gaps = np.diff(around, append=around[0] + 360)
    last = int(gaps.argmax())
    west, east = around[(last + 1) % len(around)], around[last] + 1
    return _signed(west), _signed(east) if east != 180 else 180.0


def _signed(longitude: float) -> float:
    return float((longitude + 180) % 360 - 180)


def occurrence_cells(records: Records) -> dict[str, Any]:
    """How many occurrences lie in each cell of a grid.

    Args:
        records: Of the prior, all with a place. Those whose place is less certain than a cell are left out.

    Returns:
        `degrees`, the side of a cell; `cells`: its southern and western edge, and the number.
    """
    bounds = bounds_of(records)
    if bounds is None:
        return {"degrees": DEGREES[0], "cells": []}
    west, south, east, north = bounds
    longest = max((east - west) % 360 or 360.0, north - south)
    degrees = next((side for side in DEGREES if longest / side <= ACROSS), DEGREES[-1])
    certain = ~(records.uncertainty_m > 1000 * _KILOMETRES * degrees)
    wide, high = round(360 / degrees), round(180 / degrees)
    rows = np.minimum(np.floor((records.latitude[certain] + 90) / degrees), high - 1)
    columns = np.floor((records.longitude[certain] + 180) % 360 / degrees)
    counts = np.bincount((rows * wide + columns).astype(np.int64), records.counts[certain], wide * high)
    full = np.flatnonzero(counts)
    cells = np.stack([full // wide * degrees - 90, full % wide * degrees - 180, counts[full]], axis=1).tolist()
    return {"degrees": degrees, "cells": [[south, west, int(count)] for south, west, count in cells]}
