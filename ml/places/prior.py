"""Which species are recorded around a place at a time of the year: a kernel estimate from the nearest occurrences.

The places and days of training occurrences are kept as they are, on the unit sphere (a KD-tree over chords): there
is no training, and what the prior says of a place can be shown by the occurrences that say it.
"""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ml.documents import Document
from ml.errors import DataError
from ml.files import replacing
from ml.places.kernels import distance_weights, season_weights
from ml.places.look import PriorLook
from ml.places.records import EARTH_KM, Records, condensed, packed, unit, unpacked
from ml.places.sites import Sites
from ml.taxonomy import Floats

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

__all__ = ["EARTH_KM", "PRIOR_FILE", "PlacePrior", "PriorLook", "PriorSettings", "Records", "unit"]

PRIOR_FILE: Final = "place_prior.safetensors"
MOST_EXPONENT: Final = 10.0
_BLOCK: Final = 500_000
"""Neighbours that are weighed at a time: 20 MB."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PriorSettings(Document):
    """Parameters of the prior; `ml.places.choice.choose` finds them on calibration rows by log-loss."""

    neighbours: int = Field(default=200, gt=0)
    """How many of the nearest rows count."""
    width: Positive = 0.5
    """Standard deviation of the kernel in distance, as a share of the distance to the last neighbour."""
    season_days: Positive = 45.0
    """Standard deviation of the kernel on the circle of days."""
    floor: float = Field(default=0.3, ge=1e-6, allow_inf_nan=False)
    """Added to the weight of every species, in occurrences: what was never recorded here is not impossible."""
    exponent: float = Field(default=1.0, ge=0, le=MOST_EXPONENT)
    """Power of the prior where it is composed with a network's probabilities; 0 ignores it."""
    base_rate: float = Field(default=0.0, ge=0, le=1)
    """Power of a species' share of all occurrences that its weight is divided by."""
    far_km: Positive = 500.0
    """A place whose nearest occurrence is farther away is unknown: every species is as likely as any other."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PlacePrior:
    """Occurrences of C species, and how they count. Without any occurrence it knows no place."""

    records: Records
    """As given, but condensed (`ml.places.records.condensed`): what is asked is what a file holds."""
    class_count: int
    """C."""
    settings: PriorSettings

    def __post_init__(self) -> None:
        """Condense the occurrences.

        Raises:
            DataError: as `condensed`, or a class is not below `class_count`.
        """
        object.__setattr__(self, "records", condensed(self.records))
        if len(self.records.class_id) and int(self.records.class_id.max()) >= self.class_count:
            raise DataError(f"an occurrence is of class {self.records.class_id.max()} of {self.class_count}")

    def with_settings(self, settings: PriorSettings) -> "PlacePrior":
        """The same occurrences, which count otherwise; what was made of them is shared."""
        other = copy.copy(self)
        object.__setattr__(other, "settings", settings)
        return other

    def look(self, sites: Sites, *, beyond_km: float = 0.0) -> PriorLook:
        """The neighbours of each site and what they weigh. A site without a day asks for the whole year.

        Args:
            sites: N of them; one without a place is not known.
            beyond_km: Occurrences within this distance are left out, as if none had been near; 0 leaves out none.
                For evaluation: it shows how local the gain is.
        """
        count, total = min(self.settings.neighbours, len(self.records.class_id)), len(sites.latitude)
        found = PriorLook(
            classes=np.zeros((total, count), np.int32),
            weights=np.zeros((total, count), np.float32),
            floor=self.settings.floor,
            known=np.zeros(total, np.bool_),
            nearest_km=np.full(total, np.nan),
            counts=np.zeros((total, count), np.int32),
            unplaced=self.unplaced,
        )
        placed = np.flatnonzero(sites.placed)
        step = max(_BLOCK // max(count, 1), 1)
        for rows in (placed[start : start + step] for start in range(0, len(placed) if count else 0, step)):
            distance, neighbours = self.neighbours(sites.rows(rows), count, beyond_km=beyond_km)
            there = np.isfinite(distance)
            found.classes[rows] = np.where(there, self.records.class_id[neighbours], 0)
            found.counts[rows] = np.where(there, self._counts[neighbours], 0)
            found.weights[rows] = self.weigh(distance, neighbours, sites.rows(rows))
            found.nearest_km[rows] = np.where(there[:, 0], distance[:, 0], np.nan)
            found.known[rows] = distance[:, 0] <= self.settings.far_km
        return found

    def knows(self, sites: Sites) -> npt.NDArray[np.bool_]:
        """Whether an occurrence is near enough to say anything of each site; not where no place is known. Shape N."""
        known = np.zeros(len(sites.latitude), np.bool_)
        if len(self.records.class_id):
            distance, _ = self.neighbours(sites.rows(sites.placed), 1)
            known[sites.placed] = distance[:, 0] <= self.settings.far_km
        return known

    def neighbours(self, sites: Sites, count: int, *, beyond_km: float = 0.0) -> tuple[Floats, npt.NDArray[np.intp]]:
        """The nearest rows of each site, all of which have a place, the nearest first.

        Returns:
            Kilometres, infinite where there are fewer; and numbers of rows, 0 there. Both of shape N x count.
        """
        places = unit(sites.latitude, sites.longitude)
        if not beyond_km:
            return self._nearest(places, count)
        chord = 2 * np.sin(min(beyond_km / EARTH_KM, np.pi) / 2)
        inside = self._tree.query_ball_point(places, chord, return_length=True)
        distance = np.full((len(places), count), np.inf)
        found = np.zeros((len(places), count), np.intp)
        # One by one: how many lie within differs from site to site, by thousands.
        for row, skipped in enumerate(inside):
            wanted = min(int(skipped) + count, len(self.records.class_id))
            all_distances, all_found = self._nearest(places[row : row + 1], wanted)
            kept = np.flatnonzero(all_distances[0] > beyond_km)[:count]
            distance[row, : len(kept)], found[row, : len(kept)] = all_distances[0, kept], all_found[0, kept]
        return distance, found

    def weigh(self, distance: Floats, neighbours: npt.NDArray[np.intp], sites: Sites) -> Floats:
        """Weights of the neighbours of N sites, in occurrences.

        Args:
            distance: Kilometres, rising; infinite where there is no neighbour. Shape N x k.
            neighbours: Numbers of rows. Shape N x k.
            sites: N of them.
        """
        records, settings = self.records, self.settings
        weights = distance_weights(
            distance, records.uncertainty_m[neighbours], sites.uncertainty_m, width=settings.width
        )
        weights *= season_weights(records.day[neighbours], sites.day, days_wide=settings.season_days)
        weights *= self._counts[neighbours]
        weights /= self.base_rates(settings.base_rate)[records.class_id[neighbours]]
        return weights

    def base_rates(self, power: float) -> Floats:
        """What the weights of each species are divided by: 1 for one of average frequency. Shape C."""
        mean = max(self._class_counts.mean(), 1e-9) if self.class_count else 1.0
        rates: Floats = (np.maximum(self._class_counts, 1) / mean) ** power
        return rates

    def _nearest(self, places: Floats, count: int) -> tuple[Floats, npt.NDArray[np.intp]]:
        chords, found = (part.reshape(-1, count) for part in self._tree.query(places, k=count))
        return 2 * EARTH_KM * np.arcsin(np.clip(chords / 2, 0, 1)), found

    @cached_property
    def _counts(self) -> npt.NDArray[np.int32]:
        return self.records.counts

    @cached_property
    def _class_counts(self) -> Floats:
        return np.asarray(np.bincount(self.records.class_id, self._counts, self.class_count), np.float64)

    @cached_property
    def unplaced(self) -> npt.NDArray[np.int32]:
        """Species without any usable place."""
        return np.flatnonzero(self._class_counts == 0).astype(np.int32)

    @cached_property
    def _tree(self) -> "cKDTree":
        from scipy.spatial import cKDTree  # noqa: PLC0415 (half a second, which questions without a place spare)

        return cKDTree(unit(self.records.latitude, self.records.longitude))

    def write(self, path: Path) -> Path:
        """Write the occurrences and the settings atomically and return `path`; 12 to 16 bytes a row."""
        facts = {"settings": self.settings.model_dump_json(), "classes": str(self.class_count)}
        with replacing(path) as partial:
            save_file(packed(self.records), partial, metadata=facts)
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
                records = unpacked({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (no mapping)
            settings = PriorSettings.model_validate_json(facts["settings"])
            return cls(records=records, class_count=int(facts["classes"]), settings=settings)
        except (OSError, KeyError, ValueError, SafetensorError, DataError) as error:
            raise DataError(f"cannot read the prior of place and season {path}: {error}; calibrate again") from error
