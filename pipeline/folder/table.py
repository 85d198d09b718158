"""Reads a CSV of labelled photographs as people and spreadsheets write it. `listing` says what becomes of the rows."""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ml.spec import RANKS
from pipeline.errors import FolderError

if TYPE_CHECKING:
    from _csv import Reader

NEEDED: Final = ("path", *RANKS)
"""Columns that a table must have; a rank may be blank."""
OPTIONAL: Final = (
    "source_name", "licence", "rights_holder", "creator", "observation_id", "country", "event_date", "latitude",
    "longitude", "coordinate_uncertainty_m", "information_withheld", "recorded_by",
)  # fmt: skip
"""Columns that are read if they exist; missing values stay missing."""
_SPELLINGS: Final = {"license": "licence", "rightsholder": "rights_holder"}
_DARWIN_CORE: Final = {
    "decimallatitude": "latitude",
    "decimal_latitude": "latitude",
    "decimallongitude": "longitude",
    "decimal_longitude": "longitude",
    "coordinateuncertaintyinmeters": "coordinate_uncertainty_m",
    "informationwithheld": "information_withheld",
    "recordedby": "recorded_by",
    "eventdate": "event_date",
    "countrycode": "country",
}
"""Terms of Darwin Core, read where the table has no column of the plain name beside them."""
_DECIMALS: Final = ("latitude", "longitude", "coordinate_uncertainty_m")
_DELIMITERS: Final = (",", ";", "\t", "|")
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table."""

    line: int
    """The number of the line where it ends in the file; the first line is 1."""
    values: Mapping[str, str]
    """By column, with single blanks between words; columns that the table does not have are blank."""
    problem: str | None = None
    """Why the line is not a row of the table."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A CSV that has the needed columns."""

    path: Path
    text: str
    encoding: str
    delimiter: str
    unused: tuple[str, ...]
    """Columns that are not used."""

    def rows(self) -> Iterator[Line]:
        """The lines below the header; blank ones are skipped.

        Raises:
            FolderError: a quotation mark is not closed, or is misplaced.
        """
        reader = _reader(self.text, self.delimiter)
        columns: list[str] | None = None
        try:
            for fields in reader:
                if not any(field.strip() for field in fields) or (columns is None and _is_separator(fields)):
                    continue
                if columns is None:
                    columns = _names(fields)
                    continue
                yield _row(fields, columns, line=reader.line_num, decimal_comma=self.delimiter != ",")
        except csv.Error as error:
            raise FolderError(
                f"{self.path}, line {reader.line_num}: {error}; check the quotation marks there"
            ) from error


def read_table(path: Path) -> Table:
    """Read a CSV in UTF-8, UTF-16 with a byte-order mark, or Windows-1252, separated by commas, semicolons or tabs.

    Raises:
        FolderError: there is no such file, it is no text, or it lacks a column.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FolderError(f"cannot read {path.absolute()} (source.folder): {error.strerror}") from error
    text, encoding = _decoded(content, path)
    header = _header(text)
    delimiter = max(_DELIMITERS, key=lambda each: len({*NEEDED, *OPTIONAL}.intersection(_columns(header, each))))
    columns = _columns(header, delimiter)
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        found = ", ".join(filter(None, columns)) or "nothing"
        raise FolderError(f"{path} has no column {', '.join(missing)}; its first line has {found}")
    twice = sorted({name for name in (*NEEDED, *OPTIONAL) if columns.count(name) > 1})
    if twice:
        raise FolderError(f"{path} has the column {', '.join(twice)} twice; rename one")
    unused = tuple(name for name in columns if name and name not in {*NEEDED, *OPTIONAL})
    return Table(path=path, text=text, encoding=encoding, delimiter=delimiter, unused=unused)


def _decoded(content: bytes, path: Path) -> tuple[str, str]:
    """The text, and the name of its encoding."""
    for encoding in ("utf-16",) if content.startswith(_WIDE) else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding
    raise FolderError(f"{path} is no text in a known encoding; save it as CSV in UTF-8")


def _reader(text: str, delimiter: str) -> "Reader":
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)


def _header(text: str) -> str:
    """The first line that is neither blank nor a spreadsheet's `sep=;`."""
    lines = (line for line in io.StringIO(text, newline="") if line.strip())
    return next((line for line in lines if not line.strip().strip('"').startswith("sep=")), "")


def _columns(header: str, delimiter: str) -> list[str]:
    try:
        return _names(next(_reader(header, delimiter), []))
    except csv.Error:
        return []


def _names(fields: list[str]) -> list[str]:
    plain = [_column(field) for field in fields]
    return [term if (term := _DARWIN_CORE.get(name, name)) not in plain else name for name in plain]


def _column(field: str) -> str:
    name = "_".join(field.replace("-", " ").replace("_", " ").split()).lower()
    return _SPELLINGS.get(name, name)


def _is_separator(fields: list[str]) -> bool:
    return fields[0].startswith("sep=") and not any(fields[1:])


def _row(fields: list[str], columns: list[str], *, line: int, decimal_comma: bool) -> Line:
    surplus = fields[len(columns) :]
    if len(fields) < len(columns) or any(field.strip() for field in surplus):
        problem = f"{len(fields)} fields under {len(columns)} columns"
        return Line(line=line, values={}, problem=problem)
    found = dict(zip(columns, fields, strict=False))
    values = {name: " ".join(found.get(name, "").split()) for name in (*NEEDED, *OPTIONAL)}
    # The name of a file keeps its blanks.
    values["path"] = found["path"].strip()
    if decimal_comma:
        values |= {name: values[name].replace(",", ".") for name in _DECIMALS}
    return Line(line=line, values=values)
