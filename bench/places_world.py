"""A drawn world of occurrences: species with ranges, seasons and abundances, recorded where people live."""

from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from ml.places.records import EARTH_KM, Records
from ml.places.sites import YEAR, Sites
from ml.taxonomy import Floats

SEED: Final = 19
TOWNS: Final = 5_000
OBSCURED: Final = 0.08
"""Share of occurrences that are moved within a cell of 0.2 degrees."""
UNDATED: Final = 0.05


def drawn(*, occurrences: int, species: int, held_out: int) -> tuple[Records, Records]:
    """Occurrences, and as many more as are held out, drawn alike.

    Half of a species' range lies within 100 to 1,000 km of where it is at home; abundances follow Zipf's law; people
    record near towns, more near large ones; the season of a species is between three weeks and four months long.
    """
    generator = np.random.default_rng(SEED)
    towns = _normalised(generator.normal(size=(TOWNS, 3)) * [1, 1, 0.7])
    home = towns[generator.integers(0, TOWNS, species)]
    reach = np.exp(generator.normal(np.log(300), 0.6, species)) / EARTH_KM
    abundance = 1 / np.arange(1, species + 1) ** 0.8
    peak, season = generator.integers(0, YEAR, species), generator.uniform(20, 120, species)
    total = occurrences + held_out
    # Each species at least twice, the others by abundance.
    drawn_species = generator.choice(species, total - 2 * species, p=abundance / abundance.sum())
    class_id = generator.permutation(np.concatenate([np.repeat(np.arange(species), 2), drawn_species]))
    wanted = _normalised(home[class_id] + generator.normal(size=(total, 3)) * reach[class_id, None])
    near = cKDTree(towns).query(wanted, k=4)[1]
    # The first towns are the large ones.
    town = np.where(generator.random(total) < 0.5, near[:, 0], near.min(axis=1))
    apart = generator.exponential(10 / EARTH_KM, (total, 1)) * _normalised(generator.normal(size=(total, 3)))
    places = _normalised(towns[town] + apart)
    latitude, longitude = np.degrees(np.arcsin(places[:, 2])), np.degrees(np.arctan2(places[:, 1], places[:, 0]))
    obscured = generator.random(total) < OBSCURED
    latitude = np.where(obscured, np.floor(latitude / 0.2) * 0.2 + generator.uniform(0, 0.2, total), latitude)
    longitude = np.where(obscured, np.floor(longitude / 0.2) * 0.2 + generator.uniform(0, 0.2, total), longitude)
    day = (np.rint(peak[class_id] + generator.normal(size=total) * season[class_id] / 2) % YEAR + 1).astype(np.uint16)
    day[generator.random(total) < UNDATED] = 0
    world = Records(
        latitude=np.clip(latitude, -90, 90).astype(np.float32),
        longitude=np.clip(longitude, -180, 180).astype(np.float32),
        uncertainty_m=np.where(obscured, 15_000, generator.exponential(100, total)).astype(np.float32),
        day=day,
        class_id=class_id.astype(np.int32),
    )
    numbers = np.arange(total)
    return world.rows(numbers[:occurrences]), world.rows(numbers[occurrences:])


def sites_of(records: Records) -> Sites:
    """Where and when photographs of these occurrences were taken."""
    return Sites(
        latitude=records.latitude.astype(np.float64),
        longitude=records.longitude.astype(np.float64),
        uncertainty_m=records.uncertainty_m.astype(np.float64),
        day=np.where(records.day > 0, records.day, np.nan),
    )


def _normalised(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
