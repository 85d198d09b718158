"""Which species are recorded around a place at a time of the year: a kernel estimate from the nearest occurrences.

The places and days of training occurrences are kept as they are, on the unit sphere (a KD-tree over chords): there
is no training, and what the prior says of a place can be shown by the occurrences that say it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml.documents import Document
from ml.errors import DataError
from ml.files import replacing
from ml.places.sites import YEAR, Sites
from ml.taxonomy import Floats

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

PRIOR_FILE: Final = "place_prior.safetensors"
EARTH_KM: Final = 6371.0088
"""Mean radius of the earth (IUGG)."""


class PriorSettings(Document):
    """Parameters of the prior; chosen on the calibration half by log-loss."""

    neighbours: int = 200
    """How many of the nearest occurrences count."""
    width: float = 0.5
    """Standard deviation of the kernel in distance, as a share of the distance to the last neighbour."""
    season_days: float = 45.0
    """Standard deviation of the kernel on the circle of days."""
    floor: float = 0.1
    """Added to the weight of every species, in occurrences: what was never recorded here is not impossible."""
    exponent: float = 1.0
    """Power of the prior where it is composed with a network's probabilities; 0 ignores it."""
    base_rate: float = 0.0
    """Power of a species' share of all occurrences that its weight is divided by."""
    far_km: float = 500.0
    """A place whose nearest occurrence is farther away is unknown: every species is as likely as any other."""


class Records(NamedTuple):
    """M training occurrences."""

    latitude: npt.NDArray[np.float32]
    """Degrees. Shape M."""
    longitude: npt.NDArray[np.float32]
    """Degrees. Shape M."""
    uncertainty_m: npt.NDArray[np.float32]
    """Radius that holds the true place; NaN: not known. Shape M."""
    day: npt.NDArray[np.uint16]
    """Day of the year from 1 to `YEAR`; 0: not known. Shape M."""
    class_id: npt.NDArray[np.int32]
    """Shape M."""


class PriorLook(NamedTuple):
    """What the prior says of N sites, sparsely: most species have no occurrence near a place."""

    classes: npt.NDArray[np.int32]
    """Species of each neighbour. Shape N x k."""
    weights: Floats
    """Its weight, in occurrences; 0 where it does not count. Shape N x k."""
    floor: float
    """The weight of every species beside."""
    known: npt.NDArray[np.bool_]
    """Whether occurrences are near enough to say anything. Shape N."""
    nearest_km: Floats
    """Distance to the nearest occurrence; NaN without a place. Shape N."""

    def shares(self, classes: int) -> Floats:
        """Probability of every species; the same for all where nothing is known. Shape N x classes, rows sum to one."""
        dense = np.full((len(self.known), classes), self.floor)
        rows = np.broadcast_to(np.arange(len(dense))[:, None], self.classes.shape)
        np.add.at(dense, (rows[self.known], self.classes[self.known]), self.weights[self.known])
        dense[~self.known] = 1.0
        dense /= dense.sum(axis=1, keepdims=True)
        return dense


@dataclass(frozen=True, eq=False, kw_only=True)
class PlacePrior:
    """Occurrences of C species, and how they count."""

    records: Records
    class_count: int
    settings: PriorSettings

    def look(self, sites: Sites) -> PriorLook:
        """The neighbours of each site and what they weigh. A site without a day asks for the whole year."""
        count = min(self.settings.neighbours, len(self.records.class_id))
        placed = np.flatnonzero(sites.placed)
        classes = np.zeros((len(sites.latitude), count), np.int32)
        weights = np.zeros(classes.shape)
        nearest = np.full(len(classes), np.nan)
        if len(placed) and count:
            chords, found = self._tree.query(unit(sites.latitude[placed], sites.longitude[placed]), k=count)
            chords, found = chords.reshape(-1, count), found.reshape(-1, count)
            distance = 2 * EARTH_KM * np.arcsin(np.clip(chords / 2, 0, 1))
            classes[placed], nearest[placed] = self.records.class_id[found], distance[:, 0]
            weights[placed] = self._weights(distance, found, sites.rows(placed))
        known = np.nan_to_num(nearest, nan=np.inf) <= self.settings.far_km
        return PriorLook(classes, weights, self.settings.floor, known, nearest)

    def _weights(self, distance: Floats, found: npt.NDArray[np.intp], sites: Sites) -> Floats:
        settings, records = self.settings, self.records
        width = np.maximum(settings.width * distance[:, -1:], 1.0) ** 2
        blur = np.nan_to_num(records.uncertainty_m[found]) ** 2 + np.nan_to_num(sites.uncertainty_m[:, None]) ** 2
        weights = np.exp(-(distance**2) / 2 / (width + blur / 4e6))
        days = records.day[found]
        apart = np.abs(days - np.nan_to_num(sites.day[:, None], nan=0.0))
        apart = np.minimum(apart, YEAR - apart)
        asked = ~np.isnan(sites.day[:, None]) & (days > 0)
        weights *= np.where(asked, np.exp(-((apart / settings.season_days) ** 2) / 2), 1.0)
        return weights / self._base_rates[records.class_id[found]]

    @cached_property
    def _base_rates(self) -> Floats:
        counts = np.bincount(self.records.class_id, minlength=self.class_count)
        rates: Floats = (np.maximum(counts, 1) / max(counts.mean(), 1e-9)) ** self.settings.base_rate
        return rates

    @cached_property
    def _tree(self) -> "cKDTree":
        from scipy.spatial import cKDTree  # noqa: PLC0415 (half a second, which questions without a place spare)

        return cKDTree(unit(self.records.latitude, self.records.longitude))

    def write(self, path: Path) -> Path:
        """Write the occurrences and the settings atomically and return `path`."""
        facts = {"settings": self.settings.model_dump_json(), "classes": str(self.class_count)}
        with replacing(path) as partial:
            save_file(self.records._asdict(), partial, metadata=facts)
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                facts = file.metadata() or {}
                records = Records(*(file.get_tensor(name) for name in Records._fields))
            settings = PriorSettings.model_validate_json(facts["settings"])
            return cls(records=records, class_count=int(facts["classes"]), settings=settings)
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise DataError(f"cannot read the prior of place and season {path}: {error}; calibrate again") from error


def unit(latitude: npt.NDArray[Any], longitude: npt.NDArray[Any]) -> Floats:
    """Places on the unit sphere. Shape N x 3."""
    phi, theta = np.radians(latitude, dtype=np.float64), np.radians(longitude, dtype=np.float64)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)
