"""Places for the tests of calibration and serving: species with ranges and seasons of their own, as tables."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml.taxonomy import Floats

HOMES = ((-36.9, 174.8, 20), (-45.9, 170.5, 200), (-41.3, 174.8, 110), (-43.5, 172.6, 290))
"""Latitude, longitude and day of the year in the middle of each species' range and season; in New Zealand."""
TRAINING = 40
"""Occurrences of each species on the training side."""
FAR = (51.5, -0.1)
"""A place that no occurrence is near."""
FIRST_FAR = 7
"""Of every 41 photographs, this one was taken there."""


def write_places(
    folder: Path, labels: npt.NDArray[np.integer], *, usable: bool = True, photos: Sequence[str] | None = None
) -> tuple[Path, Path]:
    """Write `split.parquet` and `places.parquet` for validation photographs, named 0, 1, 2, ..., of such species.

    Every photograph is an observation of its own. Every ninth has no place, every thirteenth no day, every fifth an
    obscured place; with `usable` False none has a place, nor has any of the training side.
    """
    generator = np.random.default_rng(11)
    species = np.concatenate([np.repeat(np.arange(len(HOMES)), TRAINING), labels])
    latitude, longitude, day = scattered(species, generator)
    count, rows = len(labels), np.arange(len(labels)) + len(HOMES) * TRAINING
    latitude[rows[FIRST_FAR::41]], longitude[rows[FIRST_FAR::41]] = FAR
    unknown, obscured = np.zeros(len(species), bool), np.zeros(len(species), bool)
    unknown[rows[::9]], obscured[rows[1::5]] = True, True
    undated = np.zeros(len(species), bool)
    undated[rows[::13]] = True
    unknown |= not usable
    validation = np.arange(len(species)) >= rows[0]
    photos = [str(row) for row in range(count)] if photos is None else photos
    names = [*(f"t{row}" for row in range(rows[0])), *photos]
    columns = {
        "occurrence_key": names,
        "observation_id": names,
        "class_id": pa.array(species, pa.int32()),
        "side": np.where(validation, "validation", "train").tolist(),
        "latitude": pa.array(latitude, mask=unknown),
        "longitude": pa.array(longitude, mask=unknown),
        "uncertainty_m": pa.array(np.where(obscured, 15_000.0, 30.0), mask=unknown),
        "obscured": pa.array(obscured),
        "day": pa.array(day, pa.int32(), mask=undated),
        "country": ["NZ"] * len(species),
        "observer": [f"person {row % 50}" for row in range(len(species))],
        "problem": pa.array(["no_coordinates"] * len(species), mask=~unknown),
    }
    pq.write_table(pa.table(columns), folder / "places.parquet")
    split = {"photo_id": photos, "occurrence_key": photos, "observation_id": photos}
    pq.write_table(pa.table(split), folder / "split.parquet")
    return folder / "split.parquet", folder / "places.parquet"


def scattered(
    species: npt.NDArray[np.integer], generator: np.random.Generator
) -> tuple[Floats, Floats, npt.NDArray[np.integer]]:
    """Latitudes, longitudes and days around the homes of some species."""
    homes = np.array(HOMES)[species]
    latitude, longitude = (homes[:, :2] + generator.normal(size=(len(species), 2), scale=2.5)).T
    day = (homes[:, 2] + generator.normal(size=len(species), scale=40)).astype(int) % 366 + 1
    return latitude.copy(), (longitude + 180) % 360 - 180, day
