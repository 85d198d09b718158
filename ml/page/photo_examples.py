"""Photographs of the dataset that show what a species looks like, with author, licence and where they are from."""

import io
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ml.errors import DataError, PhotoError
from ml.images.photograph import upright_pixels
from ml.serving.inputs import read_photograph

COLUMNS: Final = ("photo_id", "taxon_key", "species", "path", "creator", "licence", "licence_url", "link")
"""Of the table of examples, in which all are texts: `taxon_key` and `species` are the species' key and name, `path` the
file below the folder of photographs, `link` the page of the record. `creator`, `licence_url` and `link` may be null."""
SIDE: Final = 480
"""Longest side of an example as it is served, in pixels."""
KEPT: Final = 256
"""Scaled-down examples that are kept in memory."""


class PhotoExamples:
    """The examples of one dataset; none where no table was given."""

    def __init__(self, rows: list[dict[str, Any]], *, folder: Path) -> None:
        """Examples of rows with the columns `COLUMNS`, whose files lie below `folder`."""
        self._folder = folder.resolve()
        self._paths = {row["photo_id"]: str(row["path"]) for row in rows}
        self._of_species: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            shown = {name: row[name] for name in ("creator", "licence", "licence_url", "link", "species")}
            self._of_species[row["taxon_key"]].append({"src": f"/examples/{row['photo_id']}.jpg", **shown})
        self._scaled = lru_cache(KEPT)(self._scale)

    @classmethod
    def read(cls, table: Path | None, *, folder: Path | None) -> Self:
        """Read the table of examples.

        Args:
            table: A Parquet file; None: there are no examples.
            folder: Where the paths in it start; None: the table's folder.

        Raises:
            DataError: the table cannot be read, or lacks a column.
        """
        if table is None:
            return cls([], folder=Path())
        try:
            found = pq.read_table(table, columns=list(COLUMNS))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"cannot read the examples {table}: {error}") from error
        missing = [name for name in COLUMNS if name not in found.column_names]
        if missing:
            raise DataError(f"{table} is no table of examples: it lacks {', '.join(missing)}")
        rows = pa.table({name: found[name].cast(pa.string()) for name in COLUMNS}).to_pylist()
        return cls(rows, folder=folder or table.parent)

    def of(self, taxon_keys: list[str], *, limit: int) -> list[dict[str, Any]]:
        """Examples of species: the first of each, then the second of each, and so on.

        Returns:
            Per photograph: src, creator, licence, licence_url, link and species.
        """
        lists = [self._of_species[key] for key in taxon_keys if key in self._of_species]
        longest = max((len(found) for found in lists), default=0)
        return [found[row] for row in range(longest) for found in lists if row < len(found)][:limit]

    def picture(self, photo_id: str) -> bytes | None:
        """An example as a JPEG of at most `SIDE` pixels a side; None where there is none of that name.

        Raises:
            PhotoError: its file is missing, lies outside the folder of photographs, or is none.
        """
        return self._scaled(photo_id) if photo_id in self._paths else None

    def _scale(self, photo_id: str) -> bytes:
        path = (self._folder / self._paths[photo_id]).resolve()
        if not path.is_relative_to(self._folder):
            raise PhotoError("it is not in the folder of photographs")
        return jpeg_of(Image.fromarray(upright_pixels(read_photograph(path))), side=SIDE)


def jpeg_of(image: Image.Image, *, side: int, quality: int = 85) -> bytes:
    """An image as a JPEG, scaled down where a side is longer than `side` pixels."""
    if max(image.size) > side:
        image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=quality)
    return stream.getvalue()
