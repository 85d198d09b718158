"""Small worlds of occurrences, drawn from a seed: around any place of the earth, poles and date line among them."""

import numpy as np
import numpy.typing as npt

from ml.places.prior import PlacePrior, PriorSettings
from ml.places.records import Records
from ml.places.sites import YEAR, Sites, Where

SPECIES = 6


def occurrences(*rows: tuple[float, float, int, int], uncertainty_m: float = np.nan) -> Records:
    """Records of (latitude, longitude, day, class)."""
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return Records(
        latitude=columns[0].astype(np.float32),
        longitude=columns[1].astype(np.float32),
        uncertainty_m=np.full(len(rows), uncertainty_m, np.float32),
        day=columns[2].astype(np.uint16),
        class_id=columns[3].astype(np.int32),
    )


def drawn(seed: int, *, rows: int = 40, spread: float = 2.0) -> Records:
    """Occurrences of `SPECIES` species around a place of the seed's; some have no day, some are uncertain."""
    generator = np.random.default_rng(seed)
    latitude, longitude = generator.choice([-90, -89, -40, 0, 60, 90]), generator.choice([-180, 0, 100, 180])
    uncertainty = generator.choice([np.nan, 30, 15_000], rows)
    return Records(
        latitude=np.clip(latitude + generator.normal(0, spread, rows), -90, 90).astype(np.float32),
        longitude=((longitude + generator.normal(0, spread, rows) + 180) % 360 - 180).astype(np.float32),
        uncertainty_m=uncertainty.astype(np.float32),
        day=np.where(generator.random(rows) < 0.2, 0, generator.integers(1, YEAR + 1, rows)).astype(np.uint16),
        class_id=generator.permutation(np.arange(rows) % SPECIES).astype(np.int32),
    )


def joined(*parts: Records) -> Records:
    """All rows, one after the other."""
    return Records(*(np.concatenate(columns) for columns in zip(*(part[:5] for part in parts), strict=True)))


def prior_of(records: Records, *, species: int = SPECIES, **settings: float) -> PlacePrior:
    """A prior with the default settings but these."""
    return PlacePrior(records=records, class_count=species, settings=PriorSettings.model_validate(settings))


def at(latitude: float, longitude: float, *, day: int | None = None, uncertainty_m: float | None = None) -> Sites:
    """One site."""
    return Sites.of([Where(latitude=latitude, longitude=longitude, day=day, uncertainty_m=uncertainty_m)])


def near(records: Records, seed: int, *, number: int = 5) -> Sites:
    """Sites at some of the occurrences, on days of the seed's; one of them is not known."""
    generator = np.random.default_rng(seed)
    rows = generator.integers(0, len(records.class_id), number)
    day: npt.NDArray[np.float64] = generator.integers(1, YEAR + 1, number).astype(np.float64)
    day[0] = np.nan
    return Sites(
        records.latitude[rows].astype(np.float64),
        records.longitude[rows].astype(np.float64),
        generator.choice([np.nan, 100.0, 10_000.0], number),
        day,
    )
