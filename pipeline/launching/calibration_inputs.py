"""What a calibration is made of beside a training: the places of a dataset; and which one a result was made of."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from ml.spec import CalibrateResult
from pipeline.dataset.manifest import content_hash
from pipeline.errors import ChildError, TableError
from pipeline.paths import Paths
from pipeline.tracking.tags import SPEC_HASH

PLACE_COLUMNS: Final = (
    "occurrence_key", "class_id", "side", "latitude", "longitude", "uncertainty_m", "day", "country", "observer"
)  # fmt: skip
"""Columns of `places.parquet` that decide a calibration; the last two, for whom and where it is evaluated."""


def usable_places(paths: Paths) -> Path | None:
    """`places.parquet`, where an occurrence of it has a place that counts; None: there is nothing to learn of places.

    Raises:
        TableError: the table is damaged.
    """
    table = paths.table("places")
    if not table.exists():
        return None
    try:
        latitudes = pq.read_table(table, columns=["latitude"])["latitude"]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise TableError(f"cannot read {table}: {error}; materialise the asset places again") from error
    return table if latitudes.null_count < len(latitudes) else None


def places_hash(table: Path) -> str:
    """The content version of what a calibration reads of `places.parquet`."""
    return content_hash(table, columns=PLACE_COLUMNS)


def identity_of(calibration: CalibrateResult) -> str:
    """The hash of the specification that a calibration was made of, which its curve's file names.

    Raises:
        ChildError: that file is missing or damaged.
    """
    try:
        facts = pq.read_schema(calibration.curve).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise ChildError(f"cannot read {calibration.curve}: {error}; calibrate again") from error
    identity: bytes = facts.get(SPEC_HASH.encode(), b"")
    return identity.decode()
