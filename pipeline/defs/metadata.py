"""Metadata that a person wants to see beside an asset: row counts, schemas, pictures. Pure, apart from reading."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from pipeline.dataset.manifest import content_hash


def table_result(
    table: Path, *, exclude: tuple[str, ...] = (), **extra: dg.MetadataValue
) -> dg.MaterializeResult[None]:
    """The result of an asset that wrote one table: rows, schema, path, and a data version of its content.

    Args:
        table: The Parquet file.
        exclude: Columns that may differ between equal contents (times of fetching).
        **extra: Further metadata, by name.
    """
    schema = pq.read_schema(table)
    columns = [name for name in schema.names if name not in exclude]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": int(pq.read_metadata(table).num_rows),
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(name=field.name, type=str(field.type)) for field in schema]
            ),
            "path": dg.MetadataValue.path(str(table)),
            **extra,
        },
        data_version=dg.DataVersion(content_hash(table, columns=columns)),
    )


def picture(png: bytes | Path, *, title: str) -> dg.MetadataValue:
    """A PNG picture, shown inline by the UI."""
    content = png.read_bytes() if isinstance(png, Path) else png
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(content).decode()})")


def mapping_table(rows: Mapping[str, object], *, columns: tuple[str, str]) -> dg.MetadataValue:
    """A two-column Markdown table."""
    lines = [f"| {columns[0]} | {columns[1]} |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows.items()]
    return dg.MetadataValue.md("\n".join(lines))


def records_table(records: Sequence[Mapping[str, object]], *, none: str) -> dg.MetadataValue:
    """A Markdown table of records with the same keys, which head the columns; `none` says that there are none."""
    if not records:
        return dg.MetadataValue.md(none)
    heads = [name.replace("_", " ") for name in records[0]]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(map(_cell, record.values()))} |" for record in records]
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")
