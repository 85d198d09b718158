"""One checklist for the whole dataset: which one it is, and the table that translates keys of others into it."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from pipeline.errors import TableError
from pipeline.paths import Paths
from pipeline.query import tally

COLUMNS = ("from_checklist", "from_key", "to_checklist", "to_key")
"""Columns of a crosswalk, all text: GBIF's checklist keys and the taxon keys within them."""


def read_crosswalk(path: Path | None) -> pa.Table:
    """A crosswalk between checklists, from Parquet or CSV; without a path an empty one.

    It should contain higher taxa as well as species: a row is translated only together with its whole lineage.

    Returns:
        A table of `COLUMNS`, as strings.

    Raises:
        TableError: the file cannot be read or lacks a column.
    """
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    if path is None:
        return schema.empty_table()
    try:
        if path.suffix.lower() == ".parquet":
            table = pq.read_table(path)
        else:
            with path.open(encoding="utf-8-sig", errors="replace") as stream:
                first = stream.readline()
            # A spreadsheet may separate by semicolons or tabs. Keys of digits stay text: 01 and 1 are two keys.
            parsing = pc.ParseOptions(delimiter=max(",;\t", key=first.count))
            table = pc.read_csv(path, parse_options=parsing, convert_options=pc.ConvertOptions(column_types=schema))
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"cannot read the crosswalk {path} (taxonomy.crosswalk): {error}") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise TableError(f"the crosswalk {path} has no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
    return table.select(COLUMNS).cast(schema)


def checklists(occurrences: Path) -> tuple[str, ...]:
    """The checklists that the rows of a table of occurrences follow, the most frequent first.

    Raises:
        TableError: the table is missing.
    """
    return tuple(key for (key,) in tally(occurrences, "checklist_key") if key is not None)


def followed_checklist(paths: Paths) -> str | None:
    """The one checklist that the clean occurrences follow, which need not be `source.checklist_key`.

    Returns:
        Its key; None where no clean occurrence names one.

    Raises:
        TableError: `clean_occurrences.parquet` is missing.
    """
    return next(iter(checklists(paths.table("clean_occurrences"))), None)


def dataset_checklist(found: Sequence[str], *, configured: str, translates: bool) -> str:
    """The one checklist that the dataset follows.

    It is the configured one if any row follows it or rows can be translated to it. An archive that follows only another
    checklist is taken as it is.

    Args:
        found: The checklists of the rows, the most frequent first.
        configured: `source.checklist_key`.
        translates: Whether there is a crosswalk to the configured checklist.
    """
    if translates or configured in found or not found:
        return configured
    return found[0]
