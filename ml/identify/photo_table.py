"""Photographs in a CSV table: one a row, with the organism that it shows, its place and its date if there are such."""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TextIO

from ml.errors import MlError, PhotoError
from ml.identify.photographs import ADDRESS, Address, Photograph, Source
from ml.places.reading import PlaceError, day_of, place_of
from ml.serving.sighting import NOTHING, Sighting

PHOTO: Final = "photo"
ORGANISM: Final = "organism"
LATITUDE, LONGITUDE, UNCERTAINTY, DATE = "latitude", "longitude", "uncertainty_m", "event_date"
_LONGEST_ROW: Final = 1_000_000
"""Characters; a missing quote could otherwise swallow the rest of the table."""


class TableError(MlError):
    """The table of photographs cannot be read."""


def in_table(table: Path, *, organisms: bool = False) -> Iterator[Photograph]:
    """The photographs of a CSV table (UTF-8, with a header; columns in any order, unknown ones are ignored).

    Args:
        table: The file; its paths are relative to its folder, or absolute.
        organisms: Whether there must be a column `organism`.

    Yields:
        One photograph per row that is not empty, called as the table calls it. One whose place or date is none has
        the reason instead of its content.

    Raises:
        TableError: it cannot be read, or a column is missing.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            start = stream.readline(_LONGEST_ROW)
            stream.seek(0)
            lines = _Lines(stream)
            rows = csv.DictReader(lines, delimiter=";" if ";" in start and "," not in start else ",")
            columns = rows.fieldnames or []
            for column in (PHOTO, ORGANISM) if organisms else (PHOTO,):
                if column not in columns:
                    shown = ", ".join(str(name)[:40] for name in columns[:20]) or "none"
                    raise TableError(f"{table} has no column `{column}`; it has {shown}")
            lines.begin_row()
            for row in rows:
                lines.begin_row()
                name = row[PHOTO] or ""
                organism = (row.get(ORGANISM) or "").strip() or None
                source, sighting = _source(name, table.parent), NOTHING
                try:
                    sighting = _sighting(row)
                except PlaceError as error:
                    source = PhotoError(str(error))
                yield Photograph(name=name, source=source, organism=organism, sighting=sighting)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TableError(f"cannot read the table {table}: {reason}") from error


def _source(name: str, folder: Path) -> Source:
    if ADDRESS.match(name):
        return Address(name.strip())
    return folder / name if name.strip() else PhotoError("the table names no photograph in this row")


def _sighting(row: Mapping[str, str | None]) -> Sighting:
    """What a row says of where and when; empty cells say nothing.

    Raises:
        PlaceError: it is no place or no date.
    """
    latitude, longitude, uncertainty, date = (
        (row.get(name) or "").strip() for name in (LATITUDE, LONGITUDE, UNCERTAINTY, DATE)
    )
    place = place_of((latitude, longitude)) if latitude or longitude else None
    radius = None
    if place is not None and uncertainty:
        try:
            radius = float(uncertainty)
        except ValueError:
            radius = math.nan
        if not 0 < radius < math.inf:
            raise PlaceError(f"the column {UNCERTAINTY} holds {uncertainty[:40]!r}, which is no number of metres")
    return Sighting(place, radius, day_of(date) if date else None)


class _Lines:
    """The lines of a text file, of which no row takes more than `_LONGEST_ROW` characters.

    The limit of Python's module `csv` is one for the whole process.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._row = stream, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(_LONGEST_ROW)
        self._row += len(line)
        if not line:
            raise StopIteration
        if self._row >= _LONGEST_ROW:
            raise csv.Error(f"a row has more than {_LONGEST_ROW:,} characters")
        return line

    def begin_row(self) -> None:
        """Count anew: the row so far was whole."""
        self._row = 0
