"""Runs the SELECTs of `sql/` with DuckDB: Parquet in, Parquet out, atomically. The rules themselves are in `sql/`."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pyarrow as pa

from pipeline.errors import TableError
from pipeline.files import atomic_path

if TYPE_CHECKING:
    import duckdb

STEPS_TOGETHER: Final = 2
"""Steps that run at the same time, each with its own queries."""
SHARE: Final = f"{80 // STEPS_TOGETHER}%"
"""The memory of a connection: each step's share of DuckDB's own default, 80 % of what the machine or its container
(control group) has."""

PARQUET: Final = "format parquet, compression zstd"
"""How DuckDB writes a table."""
Inputs = Mapping[str, Path | pa.Table]
"""Views a query reads, by name: a Parquet file, a folder of Parquet files that are one table, or an Arrow table."""


def select(name: str) -> str:
    """The text of `<name>.sql`, in whatever folder of `sql/` it is, without its closing semicolon."""
    (file,) = Path(str(files("sql"))).rglob(f"{name}.sql")
    return file.read_text(encoding="utf-8").strip().rstrip(";")


def connect(
    *, inputs: Inputs, memory_limit: str | None = None, spill: Path | None = None
) -> "duckdb.DuckDBPyConnection":
    """An in-memory connection that sees `inputs` as views and never reaches the network.

    Args:
        inputs: Views by name.
        memory_limit: What DuckDB may hold, as it writes sizes (`2 GiB`); default, and never more than, `SHARE`.
        spill: The folder for what does not fit, of this connection alone; default one of the system's temporary ones.

    Raises:
        TableError: an input file is missing.
    """
    import duckdb  # noqa: PLC0415 (the fetching process leaves queries to children, and stays small)

    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "memory_limit": SHARE,
            # DuckDB's own default is a folder where the command was started.
            "temp_directory": str(spill or Path(tempfile.gettempdir()) / f"naturewatch-{os.getpid()}-{uuid4().hex}"),
            "TimeZone": "UTC",
        }
    )
    if memory_limit is not None:
        limits = (
            f"parse_formatted_bytes({literal(memory_limit)}), parse_formatted_bytes(current_setting('memory_limit'))"
        )
        (least,) = connection.execute(f"select least({limits})").fetchone() or (0,)
        connection.execute(f"set memory_limit = '{least} bytes'")
    for view, source in inputs.items():
        if isinstance(source, pa.Table):
            connection.register(view, source)
        else:
            connection.execute(f"create view {view} as select * from {parquet(*parquet_files(view, source))}")  # noqa: S608
    return connection


def parquet(*paths: Path) -> str:
    """SQL that reads Parquet files as one table. A path may hold any characters.

    DuckDB takes a path that exists literally, and any other as a pattern; folders called `a=b` are no columns. Of
    several files, those of an older version may lack columns.
    """
    listed = ", ".join(literal(str(path)) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = {len(paths) > 1})"


def parquet_files(name: str, source: Path) -> list[Path]:
    """The Parquet files of a table, which is one file or a folder of them.

    Raises:
        TableError: there is none; the message calls the table `name`.
    """
    found = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if not found or not source.exists():
        raise TableError(f"the table {name} is missing: {source}; materialise the asset that writes it")
    return found


def to_parquet(
    name: str,
    *,
    inputs: Inputs,
    output: Path,
    **parameters: Any,  # noqa: ANN401
) -> Path:
    """Run the query `name` over `inputs` with its `$parameters` and write the rows to `output`."""
    with atomic_path(output) as partial:
        # Beside the output, where there is room for tables, and removed with it whatever happens.
        spill = partial.with_name("spill")
        with connect(inputs=inputs, spill=spill) as connection:
            _copy(connection, name, partial=partial, parameters=parameters)
    return output


def to_csv(
    name: str,
    *,
    inputs: Inputs,
    output: Path,
    **parameters: Any,  # noqa: ANN401
) -> Path:
    """As `to_parquet`, as CSV with a header: UTF-8, for spreadsheets and statistics."""
    with atomic_path(output) as partial, connect(inputs=inputs, spill=partial.with_name("spill")) as connection:
        _copy(connection, name, partial=partial, parameters=parameters, options="format csv, header")
    return output


def copy(
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    *,
    output: Path,
    metadata: Mapping[str, str] | None = None,
    **parameters: Any,  # noqa: ANN401
) -> Path:
    """Run the query `name` over the views of `connection` with its `$parameters` and write the rows to `output`.

    Args:
        connection: Holds the inputs.
        name: The query.
        output: The Parquet file.
        metadata: Key-value metadata for the file's footer.
        **parameters: The parameters of the query.
    """
    facts = ", ".join(f"{identifier(key)}: {literal(value)}" for key, value in (metadata or {}).items())
    options = f"{PARQUET}, kv_metadata {{{facts}}}" if facts else PARQUET
    with atomic_path(output) as partial:
        _copy(connection, name, partial=partial, parameters=parameters, options=options)
    return output


def _copy(
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    *,
    partial: Path,
    parameters: Mapping[str, Any],
    options: str = PARQUET,
) -> None:
    with _explained(name):
        connection.execute(
            f"copy (\n{select(name)}\n) to {literal(str(partial))} ({options})", dict(parameters) or None
        )


def rows(
    name: str,
    *,
    inputs: Inputs,
    **parameters: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """Run the query `name` and return its rows as dictionaries; for small answers only."""
    with connect(inputs=inputs) as connection:
        return fetch(connection, name, **parameters)


def fetch(
    connection: "duckdb.DuckDBPyConnection",
    name: str,
    **parameters: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """As `rows`, over the views and tables of a connection."""
    with _explained(name):
        cursor = connection.execute(select(name), parameters or None)
        columns = [column[0] for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def hold(
    connection: "duckdb.DuckDBPyConnection",
    table: str,
    name: str,
    **parameters: Any,  # noqa: ANN401
) -> None:
    """Run the query `name` over the views of a connection, which from now on has the rows as `table`."""
    with _explained(name):
        connection.execute(f"create or replace temp table {table} as\n{select(name)}", parameters or None)


def tally(table: Path, *columns: str) -> dict[tuple[Any, ...], int]:
    """How many rows of a Parquet file have which values of some columns, the most frequent first, then by value.

    Raises:
        TableError: the file is missing.
    """
    chosen = ", ".join(map(identifier, columns))
    with connect(inputs={table.stem: table}) as connection:
        found = connection.execute(
            f"select {chosen}, count(*) as n from {table.stem} group by all order by n desc, {chosen}"  # noqa: S608
        ).fetchall()
    return {tuple(values): int(number) for *values, number in found}


def count(table: Path) -> int:
    """Rows of a Parquet file, from its footer.

    Raises:
        TableError: the file is missing.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 (only the footer reader is needed, and only here)

    (path,) = parquet_files(table.stem, table)
    return int(pq.read_metadata(path).num_rows)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """A query that does not fit its inputs says what to do about it."""
    import duckdb  # noqa: PLC0415 (as in `connect`)

    try:
        yield
    except duckdb.BinderException as error:
        first = str(error).splitlines()[0]
        raise TableError(
            f"{name}: a table does not have the columns that this version of NatureWatch reads ({first}); "
            "materialise the assets before it again"
        ) from error


def literal(text: str) -> str:
    """A text as SQL writes it."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def identifier(name: str) -> str:
    """A column's name as SQL writes it, whatever is in it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
