"""Where and when photographs were taken: what a prior of place and season is asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ml.choices import Case as Case  # noqa: PLC0414 (used by everybody who asks about sites)
from ml.choices import PlacedCase
from ml.taxonomy import Floats

CASES: Final[tuple[Case, ...]] = ("neither", "place", "place_and_date")
YEAR: Final = 366
"""Days of the circle of seasons. 29 February is day 60 and 1 March day 61 in every year."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where a photograph was taken, and on which day of the year."""

    latitude: float
    """Degrees, WGS 84, from -90 to 90."""
    longitude: float
    """Degrees, WGS 84, from -180 to 180."""
    uncertainty_m: float | None = None
    """Radius around it, in metres, that holds the true place; None: not known."""
    day: int | None = None
    """Day of the year from 1 to `YEAR`; None: not known."""


class Sites(NamedTuple):
    """Where and when N photographs were taken. NaN is not known; a site without a latitude or a longitude is none."""

    latitude: Floats
    """Degrees. Shape N."""
    longitude: Floats
    """Degrees. Shape N."""
    uncertainty_m: Floats
    """Shape N."""
    day: Floats
    """Shape N."""

    @classmethod
    def of(cls, places: Sequence[Where | None]) -> Self:
        """Columns of `places`; None is a photograph of which no place is known."""
        rows = [
            (np.nan,) * 4
            if where is None
            else (
                where.latitude,
                where.longitude,
                np.nan if where.uncertainty_m is None else where.uncertainty_m,
                np.nan if where.day is None else where.day,
            )
            for where in places
        ]
        return cls(*np.array(rows, dtype=np.float64).reshape(-1, 4).T)

    @property
    def placed(self) -> npt.NDArray[np.bool_]:
        """Whether the place is known. Shape N."""
        return ~np.isnan(self.latitude) & ~np.isnan(self.longitude)

    @property
    def dated(self) -> npt.NDArray[np.bool_]:
        """Whether place and day are known. Shape N."""
        return self.placed & ~np.isnan(self.day)

    def rows(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> "Sites":
        """Some of the sites."""
        return Sites(*(column[chosen] for column in self))

    def told(self, case: PlacedCase) -> "Sites":
        """What is told of them in a case: places with days, or places alone."""
        return self if case == "place_and_date" else self.without_days()

    def without_days(self) -> "Sites":
        """The same places, at any time of the year."""
        return self._replace(day=np.full_like(self.day, np.nan))
