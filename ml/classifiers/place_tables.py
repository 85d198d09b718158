"""Tables of occurrences and photographs with their places and dates: CSV of people, of spreadsheets and of GBIF.

Commas, semicolons and tabulators separate; columns are called as here or as in Darwin Core, in any order. A row whose
place or date cannot be used stays in the table without it, and is counted with the reason.
"""

import codecs
import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import numpy as np
import numpy.typing as npt

from ml.classifiers.classes import MISSING, SHOWN, cleaned
from ml.errors import DataError
from ml.places.reading import PlaceError, day_of, place_of
from ml.places.sites import YEAR, Sites

if TYPE_CHECKING:
    import _csv

NAMES: Final = {
    "gbif_id": ("gbifid",),
    "species": ("species",),
    "latitude": ("latitude", "decimallatitude"),
    "longitude": ("longitude", "decimallongitude"),
    "day_of_year": ("dayofyear", "startdayofyear"),
    "event_date": ("eventdate",),
    "uncertainty": ("coordinateuncertaintym", "coordinateuncertaintyinmeters"),
}
"""What a column may be called, without regard to case, blanks and underscores."""
NEEDED: Final = ("gbif_id", "latitude", "longitude")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Row = dict[str, str]


@dataclass
class Problems:
    """What was wrong with rows of a table, by kind: how many, and the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, said: str) -> None:
        """Count one."""
        self.counts[kind] += 1
        self.first.setdefault(kind, said)


@dataclass(frozen=True, eq=False, kw_only=True)
class PlaceTable:
    """N occurrences or photographs, in the order of the file."""

    path: Path
    ids: list[str]
    """Of GBIF; empty where a row has none."""
    class_ids: npt.NDArray[np.int32]
    """The class of each species; -1 where it is none of the classes, or blank. Shape N."""
    strange: Counter[str]
    """Species that are none of the classes, and in how many rows; blank ones are not among them."""
    sites: Sites
    problems: Problems

    def __len__(self) -> int:
        """N."""
        return len(self.ids)


def read_species(path: Path) -> list[str]:
    """The classes of a classifier: a species a line, in the order of its columns.

    Raises:
        DataError: the file cannot be read, is empty, has a blank line between species, or names one twice.
    """
    with _opened(path) as stream:
        names = [cleaned(line) for line in stream.read().splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{path} is empty; write a species a line, in the order of the probabilities' columns")
    if "" in names:
        raise DataError(f"{path}: line {names.index('') + 1} is blank, but each column of probabilities has a species")
    twice = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if twice:
        raise DataError(f"{path} names {twice[0]!r} twice; name each column's species once")
    return names


def read_places(path: Path, species: list[str], *, labelled: bool) -> PlaceTable:
    """A table of occurrences or photographs.

    Args:
        path: The file.
        species: The classes, in the order of the columns of probabilities.
        labelled: Whether there must be a column of species.

    Raises:
        DataError: the file is missing, empty, no UTF-8 or no CSV, lacks a column, or a row has too few or many values.
    """
    class_of = {name.casefold(): number for number, name in enumerate(species)}
    known: dict[str, int] = {}
    ids: list[str] = []
    class_ids: list[int] = []
    sites: list[tuple[float, float, float, float]] = []
    strange, problems = Counter[str](), Problems()
    with _opened(path) as stream:
        for line, row in _rows(path, stream, labelled=labelled):
            name = row.get("species", "")
            if name not in known:
                known[name] = class_of.get(cleaned(name).casefold(), -1)
            if known[name] < 0 and cleaned(name):
                strange[cleaned(name)] += 1
            ids.append(_identifier(row["gbif_id"]))
            class_ids.append(known[name])
            sites.append(_site(row, f"line {line}", problems))
    if not ids:
        raise DataError(f"{path} has no rows below its header")
    columns = np.array(sites, dtype=np.float64).T
    return PlaceTable(
        path=path,
        ids=ids,
        class_ids=np.array(class_ids, dtype=np.int32),
        strange=strange,
        sites=Sites(*columns),
        problems=problems,
    )


def told(names: Counter[str]) -> str:
    """A few names with their counts, the most frequent first."""
    shown = ", ".join(f"{name!r} ({count})" for name, count in names.most_common(SHOWN))
    return shown + (", ..." if len(names) > SHOWN else "")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A text file in UTF-8, with or without the mark of a spreadsheet at its beginning."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file")
    if not path.is_file():
        raise DataError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; name one file")
    with path.open("rb") as stream:
        start = stream.read(1024)
    if start.startswith(_UTF16):
        raise DataError(f"{path} is UTF-16; save it as UTF-8 (in a spreadsheet: CSV UTF-8)")
    if b"\0" in start:
        raise DataError(f"{path} is no text; save the table as CSV in UTF-8")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8; save it as UTF-8 (in a spreadsheet: CSV UTF-8)") from error


def _rows(path: Path, stream: TextIO, *, labelled: bool) -> Iterator[tuple[int, Row]]:
    """The columns that are asked for, of each row with the number of its line."""
    try:
        header = stream.readline()
        if not header.strip():
            raise DataError(f"{path} is empty; its first line must name its columns")
        separator = max("\t;,", key=header.count)
        names, reader = next(_reader([header], separator)), _reader(stream, separator)
        columns = _columns(path, names, labelled=labelled)
        for values in reader:
            if not values:
                continue
            if len(values) != len(names):
                blank = "a tabulator" if separator == "\t" else repr(separator)
                raise DataError(
                    f"{path}: line {reader.line_num + 1} has {len(values)} values for {len(names)} columns; put values "
                    f"with {blank} in them into quotation marks"
                )
            yield reader.line_num + 1, {name: values[column] for name, column in columns.items()}
    except csv.Error as error:
        raise DataError(f"{path} is no CSV: {error}") from error


def _reader(lines: Iterable[str], separator: str) -> "_csv.Reader":
    """Rows of values; in tables of GBIF, separated by tabulators, quotation marks mean themselves."""
    if separator == "\t":
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=separator, strict=True)


def _columns(path: Path, names: list[str], *, labelled: bool) -> dict[str, int]:
    """Where the columns are that are asked for."""
    folded = ["".join(name.split()).replace("_", "").casefold() for name in names]
    found: dict[str, int] = {}
    for wanted, spellings in NAMES.items():
        places = [column for column, name in enumerate(folded) if name in spellings]
        if len(places) > 1:
            both = " and ".join(repr(names[column]) for column in places[:2])
            raise DataError(f"{path} has two columns for {wanted}: {both}; leave one out")
        if places:
            found[wanted] = places[0]
    absent = [name for name in (*NEEDED, *(["species"] if labelled else [])) if name not in found]
    if "day_of_year" not in found and "event_date" not in found:
        absent.append("day_of_year or event_date")
    if absent:
        listed = ", ".join(names)
        shown = listed if len(listed) <= 300 else f"{listed[:300]} ..."
        raise DataError(f"{path} has no column {', '.join(absent)}; its columns are {shown}")
    return found


def _identifier(text: str) -> str:
    """An id without blanks; programs that take numbers for decimals write `123.0`."""
    text = text.strip()
    return "" if text.casefold() in MISSING else text.removesuffix(".0")


def _site(row: Row, line: str, problems: Problems) -> tuple[float, float, float, float]:
    """Latitude, longitude, uncertainty and day; NaN is not known, or of no use."""
    nothing = (np.nan,) * 4
    latitude, longitude = row["latitude"].strip(), row["longitude"].strip()
    if latitude.casefold() in MISSING and longitude.casefold() in MISSING:
        problems.add("no place", f"{line} has none")
        return nothing
    try:
        latitude_degrees, longitude_degrees = place_of((latitude, longitude))
    except PlaceError as error:
        problems.add("bad place", f"{line}: {error}")
        return nothing
    return latitude_degrees, longitude_degrees, _uncertainty(row, line, problems), _day(row, line, problems)


def _uncertainty(row: Row, line: str, problems: Problems) -> float:
    text = row.get("uncertainty", "").strip()
    if text.casefold() in MISSING:
        return np.nan
    try:
        metres = float(text if "." in text else text.replace(",", "."))
    except ValueError:
        metres = np.nan
    if not 0 <= metres < np.inf:
        problems.add("bad uncertainty", f"{line}: {text[:40]!r} is no number of metres")
        return np.nan
    return metres or np.nan


def _day(row: Row, line: str, problems: Problems) -> float:
    """The day of the date, or else the day of the year: GBIF derives the second from the first."""
    date, number = row.get("event_date", "").strip(), row.get("day_of_year", "").strip()
    problem = ""
    for text, read in ((date, day_of), (number, _numbered)):
        if text.casefold() in MISSING:
            continue
        try:
            day = read(text)
        except PlaceError as error:
            problem = problem or str(error)
            continue
        if day is not None:
            return day
    if problem:
        problems.add("bad date", f"{line}: {problem}")
    else:
        problems.add("no day", f"{line} has none, or a span of more than a month")
    return np.nan


def _numbered(text: str) -> int:
    whole = text.removesuffix(".0")
    if not (whole.isascii() and whole.isdigit() and 1 <= int(whole) <= YEAR):
        raise PlaceError(f"the day of the year is {text[:40]!r}, not a whole number from 1 to {YEAR}")
    return int(whole)
