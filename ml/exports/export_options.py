"""What an export is told beside the answers, and the error that says what is missing. Nothing of it is guessed."""

import csv
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from ml.errors import MlError

Row = Mapping[str, Any]
Region = tuple[float, float, float, float]
"""Left, upper, right and lower edge of a part of a photograph, as fractions of its width and height."""

_OFFSET: Final = re.compile(r"Z|[+-](?:0\d|1[0-4]):[0-5]\d")


class ExportError(MlError, ValueError):
    """An export cannot be written from what was given; says what to give."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What only the caller knows. Every field may stay empty; a format that cannot do without one says so.

    `photo` stands for a photograph's name as it is in the answers.
    """

    base: Path | None = None
    """The folder that paths of photographs are to be relative to: they are then files of this machine. None: names that
    are relative already, of which no file is asked for."""
    identified: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    """When the photographs were identified, with its offset from UTC."""
    model_uri: str | None = None
    """What names the model version for others; None: MLflow's own `models:/NAME/VERSION`."""
    references: str | None = None
    """Where the model version is described: an address, a DOI or a citation."""
    captured: Mapping[str, str] = field(default_factory=dict)
    """`photo` to the date and time of the photograph in ISO 8601, with or without an offset from UTC."""
    timezone: str | None = None
    """The offset of the camera's clock from UTC, as in `+12:00`, for dates of `captured` that have none."""
    occurrences: Mapping[str, str] = field(default_factory=dict)
    """`photo` to the occurrenceID that is identified."""
    region: Region | None = None
    """Where the organism is, for answers that do not say so themselves in `region`."""
    deployments: Sequence[Row] = ()
    """Rows of Camtrap DP's table of deployments: where cameras stood, and from when to when."""
    metadata: Row = field(default_factory=dict)
    """What goes into Camtrap DP's `datapackage.json` as it is: contributors, project, licenses, title ..."""

    def __post_init__(self) -> None:
        """Refuse values that no format could write (ExportError)."""
        if self.identified.tzinfo is None:
            raise ExportError("the time of identification needs its offset from UTC, as in 2026-11-26T09:30:00+13:00")
        if self.timezone is not None and not _OFFSET.fullmatch(self.timezone):
            raise ExportError(f"a timezone is an offset from UTC, as in +12:00 or Z, not {self.timezone[:40]!r}")
        if self.region is not None:
            object.__setattr__(self, "region", region_of(self.region))

    @classmethod
    def of(cls, options: object, **given: Any) -> Self:  # noqa: ANN401 (any of the fields)
        """The options that a request or a file brings; what is null is as good as absent.

        Args:
            options: A mapping from names of fields to values as JSON has them, or None.
            given: Fields that the caller sets itself, which win.

        Raises:
            ExportError: an option is unknown, or has a value that makes no sense.
        """
        if options is not None and not isinstance(options, Mapping):
            raise ExportError("the options of an export must be an object of names and values")
        asked = {name: value for name, value in (options or {}).items() if value is not None}
        known = [each.name for each in fields(cls)]
        for name in asked:
            if name not in known:
                raise ExportError(f"no option of an export is called {str(name)[:40]!r}; known are {', '.join(known)}")
        values: dict[str, Any] = {
            name: _READERS[name](name, value) for name, value in asked.items() if name not in given
        }
        return cls(**values, **given)


def options_of_file(path: Path, **given: Any) -> ExportOptions:  # noqa: ANN401 (any of the fields)
    """The options in a JSON file, where `deployments` may be the name of a CSV file in the same folder.

    Args:
        path: The file.
        given: Fields that the caller sets itself, which win.

    Raises:
        ExportError: a file cannot be read, or an option is unknown or makes no sense.
    """
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"cannot read the options {path}: {error}") from error
    return ExportOptions.of(with_tables(options, folder=path.parent) if isinstance(options, dict) else options, **given)


def with_tables(options: Mapping[str, Any], *, folder: Path) -> dict[str, Any]:
    """Options of a file in which `deployments` may be the name of a CSV file in its folder: with that table's rows.

    Raises:
        ExportError: the table cannot be read.
    """
    deployments = options.get("deployments")
    return {**options, **({"deployments": rows_of_csv(folder / deployments)} if isinstance(deployments, str) else {})}


def rows_of_csv(path: Path) -> list[Row]:
    """The rows of a CSV file with a header, such as a person writes in a spreadsheet, with commas or semicolons.

    Raises:
        ExportError: it cannot be read as one.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        rows = list(csv.DictReader(text.splitlines(), delimiter=";" if header.count(";") > header.count(",") else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"cannot read {path} as a CSV file in UTF-8: {error}") from error
    if any(None in row or None in row.values() for row in rows):
        raise ExportError(f"{path} has rows that are longer or shorter than its header")
    return list(rows)


def region_of(value: object) -> Region:
    """A part of a photograph.

    Raises:
        ExportError: it is none.
    """
    edges = list(value) if isinstance(value, list | tuple) else []
    if len(edges) == 4 and all(isinstance(edge, int | float) and math.isfinite(edge) for edge in edges):
        left, upper, right, lower = (float(edge) for edge in edges)
        if 0 <= left < right <= 1 and 0 <= upper < lower <= 1:
            return left, upper, right, lower
    raise ExportError(f"a region is left, upper, right, lower as fractions of the photograph, not {str(value)[:60]}")


def _text(name: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise ExportError(f"the option {name} must be a text")


def _path(name: str, value: object) -> Path:
    return value if isinstance(value, Path) else Path(_text(name, value))


def _time(name: str, value: object) -> datetime:
    try:
        return value if isinstance(value, datetime) else datetime.fromisoformat(_text(name, value))
    except ValueError as error:
        raise ExportError(f"the option {name} must be a date and time in ISO 8601") from error


def _texts(name: str, value: object) -> dict[str, str]:
    if isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair):
        return dict(value)
    raise ExportError(f"the option {name} must be an object from photographs to texts")


def _rows(name: str, value: object) -> list[Row]:
    if isinstance(value, list | tuple) and all(isinstance(row, Mapping) for row in value):
        return list(value)
    raise ExportError(f"the option {name} must be a list of objects, one a row")


def _object(name: str, value: object) -> Row:
    if isinstance(value, Mapping):
        return value
    raise ExportError(f"the option {name} must be an object")


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "base": _path, "identified": _time, "model_uri": _text, "references": _text, "captured": _texts,
    "timezone": _text, "occurrences": _texts, "region": lambda _, value: region_of(value), "deployments": _rows,
    "metadata": _object,
}  # fmt: skip
