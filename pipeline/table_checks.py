"""Holds a file against the contract of its table."""

from pathlib import Path

import duckdb

from pipeline.errors import TableError
from pipeline.query import connect
from pipeline.tables import CONTRACTS, DUCKDB_TYPES, Contract

EXAMPLES = 3
"""How many of the rows that break a promise are named."""


def check_table(name: str, path: Path) -> list[str]:
    """The promises that the file at `path` breaks; empty when it keeps the contract of the table `name`.

    Columns and types are judged first; where they differ, nothing can be said about the rows.

    Raises:
        TableError: there is no contract of that name, or the file is missing or not Parquet.
    """
    if name not in CONTRACTS:
        raise TableError(f"no contract for a table {name!r}; the tables are {', '.join(CONTRACTS)}")
    if not path.exists():
        raise TableError(f"the table {name} is missing: {path}; materialise the asset that writes it")
    contract = CONTRACTS[name]
    try:
        with connect(inputs={"checked": path}) as connection:
            found = {row[0]: str(row[1]) for row in connection.execute("describe checked").fetchall()}
            return _broken_columns(contract, found) or _broken_rows(contract, connection)
    except duckdb.Error as error:
        raise TableError(f"cannot read the table {name} at {path}: {error}") from error


def _broken_columns(contract: Contract, found: dict[str, str]) -> list[str]:
    """Missing, extra and mistyped columns."""
    wanted = {column.name: DUCKDB_TYPES[column.type] for column in contract.schema}
    problems = [f"the column {name} ({kind}) is missing" for name, kind in wanted.items() if name not in found]
    problems += [f"the column {name} is not part of the contract" for name in found if name not in wanted]
    problems += [
        f"the column {name} is {found[name]}, not {kind}"
        for name, kind in wanted.items()
        if name in found and found[name] != kind
    ]
    return problems


def _broken_rows(contract: Contract, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Promises about values, each with the number of rows that break it and the first of them.

    One scan for all promises but uniqueness.
    """
    conditions = {f"{name} is never null": f'"{name}" is not null' for name in contract.required}
    for name, values in contract.allowed.items():
        listed = ", ".join(f"'{value}'" for value in values)
        conditions[f"{name} is one of {', '.join(values)}"] = f'"{name}" is null or "{name}" in ({listed})'
    conditions |= contract.rules
    # A condition that is unknown (a null inside it) does not hold.
    counted = ", ".join(f"count(*) filter (where ({condition}) is not true)" for condition in conditions.values())
    numbers = connection.execute(f"select {counted} from checked").fetchone()  # noqa: S608 (the contract's own text)
    key = contract.unique or contract.required[:2]
    problems = [
        f"{sentence}: {number:,} {'row breaks' if number == 1 else 'rows break'} it "
        f"({_first(connection, key, f'where ({condition}) is not true')})"
        for (sentence, condition), number in zip(conditions.items(), numbers or (), strict=True)
        if number
    ]
    if contract.unique:
        twice = f"group by {_listed(key)} having count(*) > 1"
        (repeated,) = connection.execute(
            f"select count(*) from (select {_listed(key)} from checked {twice})"  # noqa: S608 (as above)
        ).fetchone() or (0,)
        if repeated:
            problems.append(
                f"{', '.join(key)} is unique: {repeated:,} {'value is' if repeated == 1 else 'values are'} repeated "
                f"({_first(connection, key, twice)})"
            )
    return problems


def _first(connection: duckdb.DuckDBPyConnection, key: tuple[str, ...], which: str) -> str:
    """The keys of the first rows of `checked` that a clause chooses: `photo_id 1; photo_id 2`."""
    chosen = f"select {_listed(key)} from checked {which} order by {_listed(key)} limit {EXAMPLES}"  # noqa: S608 (as above)
    rows = connection.execute(chosen).fetchall()
    return "; ".join(", ".join(f"{name} {value}" for name, value in zip(key, row, strict=True)) for row in rows)


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
