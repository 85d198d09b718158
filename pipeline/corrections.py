"""A person's corrections of names: a CSV that is read as an input of the dataset. What they change is in `sql/`.

A line names a photograph, a record of GBIF, or an observation, and what is to be done:

- `identify`: the record shows `species` (a name or a key). All photographs of a record show one organism, so that it is
  given a new name as a whole.
- `drop`: the photograph, or without a `photo_id` the record, leaves the dataset.
- nothing: the line is left as it is; somebody may look at it later.

A line that cannot be used leaves a line in `rejections`, and the others count.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from pipeline.errors import TableError

RULE: Final = "correction"
"""The rule of records and photographs that a person has dropped."""
UNUSABLE: Final = "unusable_correction"
"""The rule of lines of the file that change nothing: notes, not rows that were removed."""
ACTIONS: Final = ("identify", "drop")
KEYS: Final = ("photo_id", "occurrence_key", "observation_id")
"""What a line may name; the first that is there counts, except for `identify`, which is about records."""
COLUMNS: Final = (*KEYS, "action", "species", "given", "who", "why")
"""`given`: the species that the record was under when it was looked at; where GBIF has another by now, the line does
not count. Other columns are for people."""
SCHEMA: Final = pa.schema([("line", pa.int32()), *((name, pa.string()) for name in COLUMNS), ("problem", pa.string())])


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """The lines of a file that ask for something, by what they are about; `problem` says why one cannot be used."""

    records: pa.Table
    """Lines about records, with the columns of `SCHEMA`."""
    photos: pa.Table
    """Lines about single photographs, likewise."""


def read_corrections(path: Path | None) -> Corrections:
    """The corrections of a CSV (`labels.corrections`); without a path there are none.

    Args:
        path: UTF-8, with a header; separated by commas, semicolons or tabs. Columns: `action`, at least one of `KEYS`,
            and what else of `COLUMNS` is known.

    Raises:
        TableError: the file cannot be read, or lacks such a column.
    """
    found = [] if path is None else _lines(path)
    about_photos = [_about_photo(line) for line in found]
    return Corrections(
        records=_table([line for line, photo in zip(found, about_photos, strict=True) if not photo]),
        photos=_table([line for line, photo in zip(found, about_photos, strict=True) if photo]),
    )


def _lines(path: Path) -> list[dict[str, object]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.DictReader(stream, delimiter=max(",;\t", key=first.count))
            names = [(name or "").strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"cannot read the corrections {path} (labels.corrections): {error}") from error
    if "action" not in names or not set(KEYS) & set(names):
        raise TableError(
            f"the corrections {path} (labels.corrections) need a column action and one of {', '.join(KEYS)}; they have "
            f"{', '.join(filter(None, names)) or 'none'}"
        )
    read = [_read(row) | {"line": number} for number, row in rows]
    return [{**line, "problem": _problem(line)} for line in read if line["action"]]


def _read(row: dict[str, object]) -> dict[str, object]:
    """The cells that are known, without blanks; an apostrophe that keeps a spreadsheet from computing goes."""
    cells = {name: row.get(name) for name in COLUMNS}
    return {name: str(cell or "").strip().removeprefix("'") or None for name, cell in cells.items()}


def _problem(line: dict[str, object]) -> str | None:
    """Why a line cannot be used, whatever the dataset holds."""
    if line["action"] not in ACTIONS:
        return f"the action {line['action']!r} is none of {', '.join(ACTIONS)}"
    if not any(line[key] for key in KEYS):
        return f"it names no {', '.join(KEYS[:-1])} or {KEYS[-1]}"
    if line["action"] == "identify" and not line["species"]:
        return "identify needs a species"
    if line["action"] == "identify" and not (line["occurrence_key"] or line["observation_id"]):
        return "identify is about a record with all its photographs: give its occurrence_key or observation_id"
    return None


def _about_photo(line: dict[str, object]) -> bool:
    if not line["photo_id"]:
        return False
    return line["action"] == "drop" or not (line["occurrence_key"] or line["observation_id"])


def _table(lines: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(lines, schema=SCHEMA)
