"""Builds `photo_index.parquet`: one row per photograph worth fetching. Nothing is fetched here."""

from pathlib import Path

import pyarrow.parquet as pq

from pipeline.config import Settings
from pipeline.paths import Paths
from pipeline.query import connect, copy, select
from pipeline.rejections import write_rejections


def build_photo_index(paths: Paths, settings: Settings) -> Path:
    """Write the index and the rejections of stage `photo_index`.

    JPEG still images only, as in the paper (section 4); iNaturalist's addresses are rewritten to `photos.size`;
    licences get a canonical form and are filtered by `photos.licences`; an address that comes twice stays once.

    Raises:
        TableError: clean_occurrences or media is missing.
    """
    inputs = {name: paths.table(name) for name in ("clean_occurrences", "media")}
    with connect(inputs=inputs) as connection:
        connection.execute(
            f"create table media_verdicts as {select('media_verdicts')}",
            {"size": settings.photos.size, "licences": list(settings.photos.licences)},
        )
        output = copy(connection, "photo_index", output=paths.table("photo_index"))
        rejected = copy(connection, "photo_index_rejections", output=paths.tables / ".photo_index_rejected.parquet")
    write_rejections(paths, "photo_index", pq.read_table(rejected))
    rejected.unlink()
    return output
