"""What Dagster keeps of an asset: versions of its code and data, columns, row counts, small tables.

People read the metadata from the top: the headline facts come first, then small tables and pictures, then files.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import dagster as dg
import pyarrow.parquet as pq
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from pipeline.column_descriptions import column_description
from pipeline.config.settings import Settings
from pipeline.dataset.manifest import content_hash
from pipeline.files import digest_of
from pipeline.pages.rule_meanings import MEANING
from pipeline.query import select
from pipeline.tables import CONTRACTS, DUCKDB_TYPES

Metadata = str | int | float | dg.MetadataValue
"""A value that the UI shows."""
TABLE: Final = {"duckdb", "parquet"}
"""Kinds of an asset that is a table."""
PERCENT_DIGITS: Final = 1
"""Digits after the point of a percentage: a tenth of a point is a photograph in a thousand."""


def code_version(*queries: str, python: int) -> str:
    """The code version of an asset that runs SQL: it changes with the text of a query, and with the number.

    Args:
        *queries: Names of all queries that the asset may run, in any order.
        python: Raised by hand when a change of the Python code changes what the asset writes.
    """
    return f"{python}-{digest_of([select(name) for name in sorted(queries)])[:8]}"


def described(spec: dg.AssetSpec, *, scope: str) -> dg.AssetSpec:
    """An asset with its owner, the scope it is made for and, if it is a table, what its contract promises.

    They belong to the definition, not to each run: a check holds every file against the same contract.
    """
    name = spec.key.to_user_string()
    metadata = {"dagster/column_schema": _columns(name)} if name in CONTRACTS else {}
    return spec.merge_attributes(owners=["team:naturewatch"], metadata={**metadata, "scope": scope})


def _columns(table: str) -> dg.TableSchema:
    contract = CONTRACTS[table]
    columns = [
        dg.TableColumn(
            name=column.name,
            type=DUCKDB_TYPES[column.type],
            description=_meaning(table, column.name, contract.allowed.get(column.name, ())),
            constraints=dg.TableColumnConstraints(
                nullable=column.name not in contract.required, unique=contract.unique == (column.name,)
            ),
        )
        for column in contract.schema
    ]
    rules = dg.TableConstraints(other=list(contract.rules))
    return dg.TableSchema(columns=columns, constraints=rules)


def _meaning(table: str, column: str, allowed: Sequence[str]) -> str:
    meaning = column_description(table, column)
    return f"{meaning} One of {', '.join(allowed)}." if allowed else meaning


def result(
    context: dg.AssetExecutionContext,
    settings: Settings,
    *,
    data_version: str,
    metadata: Mapping[str, Metadata],
    asset: str | None = None,
) -> dg.MaterializeResult[None]:
    """The result of an asset, with what a person sees beside it and the scope that it was made for.

    The metadata are added to the materialization alone. In a `MaterializeResult` Dagster would store them twice: with
    the output of the step as well.

    Args:
        context: The asset's.
        settings: The configuration of the run.
        data_version: Made from the content that was written.
        metadata: What to show, by name; shown in this order.
        asset: The asset's name; needed where one function writes several assets.
    """
    context.add_asset_metadata({**metadata, "scope": settings.name}, asset_key=asset)
    return dg.MaterializeResult(asset_key=asset, data_version=dg.DataVersion(data_version))


def table_result(
    context: dg.AssetExecutionContext,
    settings: Settings,
    table: Path,
    *,
    exclude: tuple[str, ...] = (),
    metadata: Mapping[str, Metadata] = MappingProxyType({}),
) -> dg.MaterializeResult[None]:
    """The result of an asset that wrote one table: its rows, its path, and a data version made from its content.

    Args:
        context: The asset's.
        settings: The configuration of the run.
        table: The Parquet file.
        exclude: Columns that may differ between equal contents (times of fetching).
        metadata: What else to show, by name.
    """
    return result(context, settings, data_version=_version(table, exclude), metadata=_facts(table, metadata))


def table_results(
    context: dg.AssetExecutionContext,
    settings: Settings,
    tables: Mapping[str, Path],
    *,
    metadata: Mapping[str, Mapping[str, Metadata]] = MappingProxyType({}),
) -> Iterator[dg.MaterializeResult[None]]:
    """The results of all tables that one function wrote, whichever of them were selected.

    Dagster accepts results of selected assets only. The others were written as well, so each of them gets an event with
    its new data version; otherwise the assets downstream would count as fresh although the file changed.

    Args:
        context: The function's.
        settings: The configuration of the run.
        tables: Asset -> Parquet file.
        metadata: Asset -> what else to show.
    """
    for asset, table in tables.items():
        facts, version = _facts(table, metadata.get(asset, {})), _version(table)
        if dg.AssetKey(asset) in context.selected_asset_keys:
            yield result(context, settings, asset=asset, data_version=version, metadata=facts)
        else:
            shown = {**facts, "scope": settings.name}
            context.log_event(dg.AssetMaterialization(asset, metadata=shown, tags={DATA_VERSION_TAG: version}))


def _facts(table: Path, metadata: Mapping[str, Metadata]) -> dict[str, Metadata]:
    return {
        "dagster/row_count": int(pq.read_metadata(table).num_rows),
        **metadata,
        "path": dg.MetadataValue.path(str(table)),
    }


def _version(table: Path, exclude: tuple[str, ...] = ()) -> str:
    return content_hash(table, columns=[name for name in pq.read_schema(table).names if name not in exclude])


def percentage(share: float) -> dg.MetadataValue:
    """A share as a number that the UI can plot: 0.98773 is 98.8. The label names the unit."""
    return dg.MetadataValue.float(round(100 * share, PERCENT_DIGITS))


def doi(settings: Settings, identifier: str | None) -> Metadata:
    """A DOI as the link to cite; the one that the embedded server makes up leads nowhere."""
    if identifier is None:
        return "none"
    if settings.source.mode == "replica":
        return f"{identifier} (sample, not citable)"
    return dg.MetadataValue.url(f"https://doi.org/{identifier}")


def removed_table(removed: Mapping[str, int], *, unit: str, meanings: Mapping[str, str] = MEANING) -> dg.MetadataValue:
    """What each rule left out, in words: rule, how many of what, and what the rule means."""
    rows = [{"rule": rule, unit: number, "why": meanings.get(rule, "")} for rule, number in removed.items()]
    return records_table(rows, none=f"no {unit}")


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
    """A value as Dagster's tables take it; a number and its sign stay on one line."""
    if isinstance(value, str):
        return value.replace(" %", "\N{NO-BREAK SPACE}%")
    return value if value is None or isinstance(value, int | float | bool) else str(value)


def _type(rows: Sequence[Mapping[str, object]], column: str) -> str:
    """Dagster's name for the type of a column."""
    kinds = {type(row[column]) for row in rows if row[column] is not None}
    if kinds <= {int} and kinds:
        return "int"
    return "float" if kinds <= {int, float} and kinds else "string"
