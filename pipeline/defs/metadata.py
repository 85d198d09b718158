"""What Dagster keeps of an asset: versions of its code and data, columns, row counts, small tables, thumbnails."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import dagster as dg
import pyarrow.parquet as pq
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from PIL import Image

from pipeline.dataset.manifest import content_hash
from pipeline.files import digest_of
from pipeline.query import select
from pipeline.tables import CONTRACTS, DUCKDB_TYPES

Metadata = str | int | float | dg.MetadataValue
"""A value that the UI shows."""
TABLE: Final = {"duckdb", "parquet"}
"""Kinds of an asset that is a table."""
THUMBNAIL: Final = (320, 230)
"""Largest width and height of a thumbnail in pixels: 2 to 5 KB, as Dagster's database keeps those of every run."""
QUALITY: Final = 30
"""WebP quality of a thumbnail."""


def code_version(*queries: str, python: int) -> str:
    """The code version of an asset that runs SQL: it changes with the text of a query, and with the number.

    Args:
        *queries: Names of all queries that the asset may run, in any order.
        python: Raised by hand when a change of the Python code changes what the asset writes.
    """
    return f"{python}-{digest_of([select(name) for name in sorted(queries)])[:8]}"


def described(spec: dg.AssetSpec) -> dg.AssetSpec:
    """An asset with its owner and, if it is a table, the columns and rules that its contract promises.

    They belong to the definition, not to each run: a check holds every file against the same contract.
    """
    name = spec.key.to_user_string()
    metadata = {"dagster/column_schema": _columns(name)} if name in CONTRACTS else {}
    return spec.merge_attributes(owners=["team:naturewatch"], metadata=metadata)


def _columns(table: str) -> dg.TableSchema:
    contract = CONTRACTS[table]
    columns = [
        dg.TableColumn(
            name=column.name,
            type=DUCKDB_TYPES[column.type],
            description=f"one of {', '.join(contract.allowed[column.name])}" if column.name in contract.allowed else "",
            constraints=dg.TableColumnConstraints(
                nullable=column.name not in contract.required, unique=contract.unique == (column.name,)
            ),
        )
        for column in contract.schema
    ]
    rules = dg.TableConstraints(other=list(contract.rules))
    return dg.TableSchema(columns=columns, constraints=rules)


def result(
    context: dg.AssetExecutionContext,
    *,
    data_version: str,
    metadata: Mapping[str, Metadata],
    asset: str | None = None,
) -> dg.MaterializeResult[None]:
    """The result of an asset, with what a person sees beside it.

    The metadata are added to the materialization alone. In a `MaterializeResult` Dagster would store them twice: with
    the output of the step as well.

    Args:
        context: The asset's.
        data_version: Made from the content that was written.
        metadata: What to show, by name.
        asset: The asset's name; needed where one function writes several assets.
    """
    context.add_asset_metadata(metadata, asset_key=asset)
    return dg.MaterializeResult(asset_key=asset, data_version=dg.DataVersion(data_version))


def table_result(
    context: dg.AssetExecutionContext, table: Path, *, exclude: tuple[str, ...] = (), **extra: Metadata
) -> dg.MaterializeResult[None]:
    """The result of an asset that wrote one table: its rows, its path, and a data version made from its content.

    Args:
        context: The asset's.
        table: The Parquet file.
        exclude: Columns that may differ between equal contents (times of fetching).
        **extra: Further metadata, by name.
    """
    return result(context, data_version=_version(table, exclude), metadata={**_facts(table), **extra})


def table_results(
    context: dg.AssetExecutionContext, tables: Mapping[str, Path], **extra: Mapping[str, Metadata]
) -> Iterator[dg.MaterializeResult[None]]:
    """The results of all tables that one function wrote, whichever of them were selected.

    Dagster accepts results of selected assets only. The others were written as well, so each of them gets an event with
    its new data version; otherwise the assets downstream would count as fresh although the file changed.

    Args:
        context: The function's.
        tables: Asset -> Parquet file.
        **extra: Asset -> further metadata.
    """
    for asset, table in tables.items():
        metadata = {**_facts(table), **extra.get(asset, {})}
        if dg.AssetKey(asset) in context.selected_asset_keys:
            yield result(context, asset=asset, data_version=_version(table), metadata=metadata)
        else:
            context.log_event(
                dg.AssetMaterialization(asset, metadata=metadata, tags={DATA_VERSION_TAG: _version(table)})
            )


def _facts(table: Path) -> dict[str, Metadata]:
    return {
        "dagster/row_count": int(pq.read_metadata(table).num_rows),
        "path": dg.MetadataValue.path(str(table)),
    }


def _version(table: Path, exclude: tuple[str, ...] = ()) -> str:
    return content_hash(table, columns=[name for name in pq.read_schema(table).names if name not in exclude])


def thumbnail(picture: Path, *, title: str) -> dg.MetadataValue:
    """A small copy of a picture, shown inline by the UI, and the picture's path."""
    with Image.open(picture) as opened:
        small = opened.convert("RGB")
    small.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.save(content, "WEBP", quality=QUALITY, method=6)
    shown = base64.b64encode(content.getvalue()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/webp;base64,{shown})\n\n`{picture}`")


def mapping_table(rows: Mapping[str, object], *, columns: tuple[str, str]) -> dg.MetadataValue:
    """A table of two columns, a row for each item."""
    return records_table([dict(zip(columns, item, strict=True)) for item in rows.items()], none="none")


def records_table(records: Sequence[Mapping[str, object]], *, none: str) -> dg.MetadataValue:
    """A table of records with the same keys, which head the columns; the text `none` where there is no record."""
    if not records:
        return dg.MetadataValue.text(none)
    heads = {name: name.replace("_", " ") for name in records[0]}
    rows = [{heads[name]: _cell(value) for name, value in record.items()} for record in records]
    columns = [dg.TableColumn(name=head, type=_type(rows, head)) for head in heads.values()]
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], dg.TableSchema(columns=columns))


def _cell(value: object) -> str | int | float | bool | None:
    """A value as Dagster's tables take it."""
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _type(rows: Sequence[Mapping[str, object]], column: str) -> str:
    """Dagster's name for the type of a column."""
    kinds = {type(row[column]) for row in rows if row[column] is not None}
    if kinds <= {int} and kinds:
        return "int"
    return "float" if kinds <= {int, float} and kinds else "string"
