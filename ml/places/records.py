"""Occurrences as a prior keeps them: fixed-point places, equal ones counted, and more than enough merged by cells."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ml.errors import DataError
from ml.places.sites import YEAR
from ml.taxonomy import Floats

EARTH_KM: Final = 6371.0088
"""Mean radius of the earth (IUGG)."""
MOST_RECORDS: Final = 1_000_000
"""Of more rows, those of a species that lie in one cell within one part of the year become one with a count."""
_LATITUDE_STEP: Final = 90 / 32_767
"""Degrees: 305 m. Two bytes hold a latitude to 153 m, and a longitude to 306 m at the equator."""
_LONGITUDE_STEP: Final = 180 / 32_768
_GOLDEN: Final = np.uint64(2_654_435_769)
"""The golden ratio of 2^32: its multiples lie far from each other."""
_FARTHEST_KM: Final = 20_016
"""No place is farther from another: a larger uncertainty says no more."""


class Records(NamedTuple):
    """M training occurrences. A photograph that is asked about must not be among them."""

    latitude: npt.NDArray[np.float32]
    """Degrees; NaN: no usable place, the row is left out. Shape M."""
    longitude: npt.NDArray[np.float32]
    """Degrees. Shape M."""
    uncertainty_m: npt.NDArray[np.float32]
    """Radius that holds the true place; NaN: not known. Shape M."""
    day: npt.NDArray[np.uint16]
    """Day of the year from 1 to `YEAR`; 0: not known. Shape M."""
    class_id: npt.NDArray[np.int32]
    """Shape M."""
    occurrences: npt.NDArray[np.int32] | None = None
    """How many occurrences each row stands for; None: one. Shape M."""

    @property
    def counts(self) -> npt.NDArray[np.int32]:
        """How many occurrences each row stands for. Shape M."""
        return np.ones(len(self.class_id), np.int32) if self.occurrences is None else self.occurrences

    def rows(self, chosen: npt.NDArray[Any]) -> "Records":
        """Some of the rows, by their numbers or by a mask."""
        return Records(*(None if column is None else column[chosen] for column in self))  # type: ignore[arg-type]


def condensed(records: Records, *, most: int = MOST_RECORDS) -> Records:
    """What a prior keeps: rows with a place, rounded as they are stored, equal ones as one with a count.

    Doing it again changes nothing. Of more rows than `most`, those of a species that share a cell and a part of the
    year are merged: at their mean place and day, with a radius that covers how they lie. Cells grow from 2 km until
    the rows suffice, so that a larger world is kept as counts of a grid that is as fine as can be; two rows a species
    always suffice.

    Raises:
        DataError: columns of different lengths, or a place, day, class or count that cannot be.
    """
    checked(records)
    kept = _merged(_rounded(records.rows(~np.isnan(records.latitude))))
    cell = 2.0
    while len(kept.class_id) > most:
        if cell > 2 * np.pi * EARTH_KM:
            raise DataError(f"{most:,} rows do not suffice for {len(np.unique(kept.class_id)):,} species")
        kept = _merged(_rounded(_celled(kept, cell_km=cell, parts=_parts_of_year(cell))))
        cell *= 1.5
    return kept


def checked(records: Records) -> None:
    """See that every row can be.

    Raises:
        DataError: as `condensed`.
    """
    lengths = {len(column) for column in records if column is not None}
    if len(lengths) != 1:
        raise DataError(f"the columns of the occurrences have different lengths: {sorted(lengths)}")
    with_place = ~np.isnan(records.latitude)
    for problem, wrong in {
        "a latitude beyond the poles": np.abs(records.latitude[with_place]) > 90,
        "a longitude that is no number within 180 degrees": ~(np.abs(records.longitude[with_place]) <= 180),
        "an uncertainty that is no length": (records.uncertainty_m < 0) | np.isinf(records.uncertainty_m),
        f"a day that is not from 1 to {YEAR}": records.day > YEAR,
        "a class below 0": records.class_id < 0,
        "a count below 1": records.counts < 1,
    }.items():
        if wrong.any():
            raise DataError(f"{int(wrong.sum()):,} of {len(records.class_id):,} occurrences have {problem}")


def packed(records: Records) -> dict[str, npt.NDArray[Any]]:
    """Columns for a file: 12 bytes a row, 16 where a row stands for more than one occurrence."""
    columns: dict[str, npt.NDArray[Any]] = {
        "latitude": np.rint(records.latitude / _LATITUDE_STEP).astype(np.int16),
        # 180 degrees east and west are one meridian, and one number.
        "longitude": np.rint(records.longitude / _LONGITUDE_STEP).astype(np.int32).astype(np.int16),
        "uncertainty_km": np.minimum(records.uncertainty_m / 1000, _FARTHEST_KM).astype(np.float16),
        "day": records.day.astype(np.uint16),
        "class_id": records.class_id.astype(np.int32),
    }
    return columns if records.occurrences is None else columns | {"occurrences": records.occurrences.astype(np.int32)}


def unpacked(columns: dict[str, npt.NDArray[Any]]) -> Records:
    """Occurrences from the columns of a file.

    Raises:
        DataError: as `condensed`.
        KeyError: a column is missing.
    """
    wanted = {"latitude": "i", "longitude": "i", "uncertainty_km": "f", "day": "u", "class_id": "i"}
    wanted |= {"occurrences": "i"} if "occurrences" in columns else {}
    if any(columns[name].dtype.kind != kind or columns[name].ndim != 1 for name, kind in wanted.items()):
        raise DataError("a column of the occurrences is of another kind")
    records = Records(
        latitude=(columns["latitude"] * _LATITUDE_STEP).astype(np.float32),
        longitude=(columns["longitude"] * _LONGITUDE_STEP).astype(np.float32),
        uncertainty_m=columns["uncertainty_km"].astype(np.float32) * 1000,
        day=columns["day"],
        class_id=columns["class_id"],
        occurrences=columns.get("occurrences"),
    )
    checked(records)
    return records


def unit(latitude: npt.NDArray[Any], longitude: npt.NDArray[Any]) -> Floats:
    """Places on the unit sphere. Shape N x 3."""
    phi, theta = np.radians(latitude, dtype=np.float64), np.radians(longitude, dtype=np.float64)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)


def _rounded(records: Records) -> Records:
    return unpacked(packed(records))


def _merged(records: Records) -> Records:
    """Equal rows become one with a count, in an order that depends on the rows alone and favours no species.

    Where more rows share a place than are asked for, the tree gives those that come first: the order scatters what is
    next to each other when sorted.
    """
    keys = [np.nan_to_num(column, nan=-1.0) for column in records[:5]]
    order = np.lexsort(keys[::-1])
    if not len(order):
        return records._replace(occurrences=None)
    changes = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    first = np.flatnonzero(np.concatenate([[True], changes]))
    counts = np.add.reduceat(records.counts[order].astype(np.int64), first)
    scattered = np.argsort(np.arange(len(first), dtype=np.uint64) * _GOLDEN % 2**32, kind="stable")
    kept, counts = records.rows(order[first[scattered]]), counts[scattered]
    return kept._replace(occurrences=None if counts.max() == 1 else counts.astype(np.int32))


def _celled(records: Records, *, cell_km: float, parts: int) -> Records:
    """One row for each species, cell and part of the year: mean place, mean day, count, radius of the spread."""
    cells, parts_of_year = _cells(records, cell_km), (records.day.astype(np.int64) - 1) * parts // YEAR
    undated = records.day == 0
    parts_of_year[undated] = parts
    keys = (records.class_id.astype(np.int64) * (cells.max() + 1) + cells) * (parts + 1) + parts_of_year
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    counts = records.counts.astype(np.float64)
    total = np.bincount(group, counts)

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(group, values * counts) / total, np.float64)

    places = unit(records.latitude, records.longitude)
    centre = np.stack([mean(places[:, axis]) for axis in range(3)], axis=1)
    # How far the unit vectors' mean lies below the sphere is half their variance; a radius holds two deviations.
    length = np.clip(np.linalg.norm(centre, axis=1), 1e-9, 1)
    spread = EARTH_KM * 1000 * np.sqrt(1 - length**2) * np.sqrt(2)
    stated = np.sqrt(mean(np.nan_to_num(records.uncertainty_m.astype(np.float64)) ** 2))
    angle = records.day / YEAR * 2 * np.pi
    day = np.arctan2(mean(np.sin(angle)), mean(np.cos(angle))) / 2 / np.pi * YEAR
    return Records(
        latitude=np.degrees(np.arcsin(np.clip(centre[:, 2] / length, -1, 1))).astype(np.float32),
        longitude=np.degrees(np.arctan2(centre[:, 1], centre[:, 0])).astype(np.float32),
        uncertainty_m=np.hypot(spread, stated).astype(np.float32),
        day=np.where(undated[first], 0, (np.rint(day).astype(np.int64) - 1) % YEAR + 1).astype(np.uint16),
        class_id=records.class_id[first],
        occurrences=total.astype(np.int32),
    )


def _parts_of_year(cell_km: float) -> int:
    """Into how many parts the year is cut where cells are this large: half months, months, two months, none."""
    return 24 if cell_km < 20 else 12 if cell_km < 50 else 6 if cell_km < 1_000 else 1


def _cells(records: Records, cell_km: float) -> npt.NDArray[np.int64]:
    """A number for the cell of each row; cells are about as wide as high at every latitude, and none at two poles."""
    height = np.degrees(cell_km / EARTH_KM)
    band = np.floor((records.latitude.astype(np.float64) + 90) / height).astype(np.int64)
    middle = np.radians(np.clip((band + 0.5) * height - 90, -90, 90))
    columns = np.maximum(np.rint(360 / height * np.cos(middle)), 1).astype(np.int64)
    column = np.floor((records.longitude.astype(np.float64) + 180) / 360 * columns).astype(np.int64) % columns
    return np.asarray(band * (int(360 / height) + 2) + column)
