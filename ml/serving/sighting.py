"""What is said of where and when a photograph was taken: by who asks, by a table of photographs, or by its own EXIF."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ml.places.sites import Sites


class Sighting(NamedTuple):
    """A place and a day of the year, each known or not."""

    place: tuple[float, float] | None = None
    """Latitude and longitude, in degrees (WGS 84)."""
    uncertainty_m: float | None = None
    """Radius around the place, in metres, that holds the true one."""
    day: int | None = None
    """Day of the year, see `ml.places.sites.YEAR`."""

    def or_else(self, other: "Sighting") -> "Sighting":
        """What is said here, and where nothing is said, what `other` says. An uncertainty belongs to its place."""
        placed = self if self.place is not None else other
        return Sighting(placed.place, placed.uncertainty_m, other.day if self.day is None else self.day)


NOTHING = Sighting()
"""Neither place nor day is known."""


def sites_of(sightings: Sequence[Sighting]) -> "Sites":
    """Sightings as the prior of place and season is asked about them. A day is kept where no place is known, too."""
    import numpy as np  # noqa: PLC0415 (a question is asked of a running page without it)

    from ml.places.sites import Sites  # noqa: PLC0415 (NumPy)

    rows = [(*(sighting.place or (None, None)), sighting.uncertainty_m, sighting.day) for sighting in sightings]
    return Sites(*np.array(rows, dtype=np.float64).reshape(-1, 4).T)
