"""Runs the SELECTs of `sql/` with DuckDB: Parquet in, Parquet out, atomically. Holds no SQL of the road itself."""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.errors import TableError
from pipeline.files import atomic_path

Inputs = Mapping[str, Path | pa.Table]
"""Views a query reads, by name: a Parquet file, a folder of Parquet files that are one table, or an Arrow table."""


def select(name: str) -> str:
    """The text of `sql/<name>.sql`, without its closing semicolon."""
    return files("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8").strip().rstrip(";")


def connect(*, inputs: Inputs) -> duckdb.DuckDBPyConnection:
    """An in-memory connection that sees `inputs` as views and never reaches the network.

    Raises:
        TableError: an input file is missing.
    """
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "memory_limit": _memory_limit(), "TimeZone": "UTC"}
    )
    for view, source in inputs.items():
        if isinstance(source, pa.Table):
            connection.register(view, source)
            continue
        if not source.exists():
            raise TableError(f"the table {view} is missing: {source}; materialise the asset that writes it")
        literal = _quoted(source / "*.parquet" if source.is_dir() else source)
        connection.execute(f"create view {view} as select * from read_parquet('{literal}')")  # noqa: S608
    return connection


def to_parquet(name: str, *, inputs: Inputs, output: Path, **parameters: Any) -> Path:  # noqa: ANN401
    """Run `sql/<name>.sql` over `inputs` with its `$parameters` and write the rows to `output`."""
    with connect(inputs=inputs) as connection:
        return copy(connection, name, output=output, **parameters)


def copy(connection: duckdb.DuckDBPyConnection, name: str, *, output: Path, **parameters: Any) -> Path:  # noqa: ANN401
    """As `to_parquet`, over whatever `connection` holds already."""
    with atomic_path(output) as partial:
        statement = f"copy (\n{select(name)}\n) to '{_quoted(partial)}' (format parquet, compression zstd)"
        connection.execute(statement, parameters or None)
    return output


def rows(name: str, *, inputs: Inputs, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Run `sql/<name>.sql` and return its rows as dictionaries; for small answers only."""
    with connect(inputs=inputs) as connection:
        cursor = connection.execute(select(name), parameters or None)
        columns = [column[0] for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def count(table: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    import pyarrow.parquet as pq  # noqa: PLC0415 (only the footer reader is needed, and only here)

    return int(pq.read_metadata(table).num_rows)


def _memory_limit() -> str:
    """Half the machine's memory, so that Python and a neighbouring step keep room."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{total // 2 // 2**20} MiB"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
