"""The list of a place as rows for files and other programs: stable columns, written as CSV, Parquet or JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files import atomic_path, write_bytes
from pipeline.pages.place_list import EVERY_MONTH, PlaceList

MONTH_COLUMNS: Final = tuple(f"records_{month:02}" for month in EVERY_MONTH)
"""Records of each month, January first."""
SCHEMA: Final = pa.schema(
    [
        ("found", pa.string()),
        ("species", pa.string()),
        ("common_name", pa.string()),
        ("taxon_key", pa.string()),
        *((rank, pa.string()) for rank in ("kingdom", "phylum", "class", "order", "family", "genus")),
        ("records", pa.int64()),
        ("records_in_season", pa.int64()),
        ("share", pa.float64()),
        ("perhaps_outside", pa.int64()),
        ("obscured", pa.int64()),
        ("nearest_km", pa.float64()),
        ("first_year", pa.int32()),
        ("last_year", pa.int32()),
        *((name, pa.int64()) for name in MONTH_COLUMNS),
        ("named", pa.bool_()),
        ("photographs_missing", pa.int64()),
        ("gbif", pa.string()),
    ]
)
"""The columns of a file and the keys of a species in JSON; docs/species-list.md says what each means."""
DIGITS: Final = {"share": 6, "nearest_km": 3}
"""Decimals of the columns that have some."""


def table_rows(found: PlaceList) -> Iterator[dict[str, Any]]:
    """A row per species with the columns of `SCHEMA`: those that were recorded here, in other months, near by."""
    for where, listed in (("here", found.here), ("other_months", found.other_months), ("near", found.near)):
        for row in listed:
            months = dict(zip(MONTH_COLUMNS, row["months"], strict=True))
            values = row | months | {"found": where}
            for name, digits in DIGITS.items():
                values[name] = round(values[name], digits)
            yield {name: values[name] for name in SCHEMA.names}


def write_rows(found: PlaceList, path: Path, *, facts: Mapping[str, str]) -> Path:
    """Write the list as a table, whole or not at all.

    Args:
        found: The list.
        path: Ends in `.csv` (UTF-8, with a header), `.parquet` or `.jsonl`.
        facts: What the list is about and whom to cite; a Parquet file keeps it as metadata.

    Raises:
        StorageError: the file cannot be written.
    """
    rows = list(table_rows(found))
    match path.suffix.lower():
        case ".csv":
            return write_bytes(path, _csv(rows))
        case ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return write_bytes(path, "".join(lines).encode())
        case _:
            with atomic_path(path) as partial:
                table = pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata(dict(facts)))
                pq.write_table(table, partial, compression="zstd")
            return path


def json_document(found: PlaceList, *, facts: Mapping[str, object]) -> dict[str, Any]:
    """The whole list as plain values: what was asked, what it is about, and a row per species."""
    return {
        "place": [found.circle.latitude, found.circle.longitude],
        "radius_km": found.circle.radius_km,
        "near_km": found.near_km,
        "month": found.month,
        "months": list(found.months),
        "within": list(found.within),
        "records": found.records,
        "records_by_month": found.by_month,
        "records_undated": found.undated,
        "completeness": None if found.completeness is None else asdict(found.completeness),
        "nearest": None if found.nearest is None else asdict(found.nearest),
        **facts,
        "species": list(table_rows(found)),
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=SCHEMA.names, lineterminator="\n")
    writer.writeheader()
    # As JSON writes them, and not as Python does.
    writer.writerows({name: str(value).lower() if isinstance(value, bool) else value for name, value in row.items()}
                     for row in rows)  # fmt: skip
    return text.getvalue().encode()
