"""Reading MLflow's registry in an SQLite file without MLflow, whose import takes longer than identifying a photograph.

Reads the tables of one version of MLflow's database schema. Whatever is otherwise is left to MLflow.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

SCHEMA: Final = "dc11669786a5"
"""The revision of MLflow's database schema whose tables are read here: that of MLflow 3.17."""
_WORKSPACES: Final = ("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_WORKSPACE")
"""Variables with which a name stands for another model."""
_LOOK_UP: Final = """
SELECT version, coalesce(nullif(storage_location, ''), source) AS location
FROM model_versions
WHERE name = :name AND workspace = 'default' AND current_stage != 'Deleted_Internal'
  AND version = coalesce(:number, (
    SELECT version FROM registered_model_aliases WHERE name = :name AND workspace = 'default' AND alias = :alias
  ))
"""


class Found(NamedTuple):
    """A version of a registered model."""

    number: str
    location: str
    """Where its files are: a path, or an address of a store."""


def connect(path: Path) -> sqlite3.Connection:
    """Open an SQLite file that this process never writes to."""
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)


def look_up(path: Path, *, name: str, alias: str) -> Found | None:
    """The version of the model `name` with an alias or a number, as MLflow's client finds it.

    Returns:
        None where MLflow has to be asked: the schema is another, workspaces are in use, the file cannot be read, or
        there is no such version.
    """
    if any(os.environ.get(variable) for variable in _WORKSPACES) or alias.lower() == "latest":
        return None
    asked = {"name": name, "alias": alias, "number": int(alias) if alias.isdecimal() else None}
    try:
        with closing(connect(path)) as connection:
            if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(SCHEMA,)]:
                return None
            if connection.execute("SELECT 1 FROM registered_models WHERE workspace != 'default'").fetchone():
                return None
            rows = connection.execute(_LOOK_UP, asked).fetchall()
    except (sqlite3.Error, OverflowError):
        return None
    return Found(str(rows[0][0]), rows[0][1]) if len(rows) == 1 and rows[0][1] else None
