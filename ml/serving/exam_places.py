"""Where and when the photographs of the exam were taken, as versions are told."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ml.errors import DataError
from ml.places.sites import Where

_COLUMNS = ["occurrence_key", "latitude", "longitude", "uncertainty_m", "day"]


def where_of(places: Path) -> dict[str, Where]:
    """Occurrence -> where and when it was observed, for those whose place is usable.

    Args:
        places: `places.parquet`.

    Raises:
        DataError: the table is missing or damaged.
    """
    try:
        rows = pq.read_table(places, columns=_COLUMNS).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise DataError(f"cannot read the places {places}: {error}; materialise the asset places again") from error
    return {
        row["occurrence_key"]: Where(
            latitude=row["latitude"], longitude=row["longitude"], uncertainty_m=row["uncertainty_m"], day=row["day"]
        )
        for row in rows
        if row["latitude"] is not None
    }
