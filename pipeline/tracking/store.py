"""The SQLite file that MLflow keeps runs and models in: made whole, judged before it is opened, moved with its root.

MLflow makes its tables in the file itself, migration by migration, and keeps the absolute place of every artifact. A
process that is killed on the way leaves a file that no later one can use, and a copy of a data root would write into
the place that it was copied from. Nothing here is needed for stores that a server keeps.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.config.values import sqlite_address
from pipeline.errors import TrackingError
from pipeline.files import work_folder

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
"""Columns of MLflow's tables that hold where artifacts lie."""
BOOK = "alembic_version"
"""The table that says which schema the others have."""
BUSY_SECONDS = 60.0
"""How long a statement waits for another process that writes."""


def ensure_store(database: Path, *, experiment: str, artifacts: Path, work: Path) -> None:
    """Make the store, with its experiment, unless it is there; the caller keeps other processes away.

    Args:
        database: The SQLite file.
        experiment: The experiment's name.
        artifacts: The folder of its artifacts.
        work: A folder on the same disk, to make the store in.

    Raises:
        TrackingError: the file is no store of MLflow, a damaged one, or one of another version that holds something.
    """
    if _is_usable(database):
        return
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        with work_folder(work) as folder:
            # MLflow keeps connections by name: after a failure none may lead to a file that is gone.
            made = folder / f"{uuid.uuid4().hex}.db"
            store = SqlAlchemyStore(sqlite_address(made), artifacts.as_uri())  # type: ignore[no-untyped-call]
            store.create_experiment(experiment, artifact_location=artifacts.as_uri())  # type: ignore[no-untyped-call]
            store.engine.dispose()
            database.parent.mkdir(parents=True, exist_ok=True)
            made.replace(database)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"cannot make MLflow's store {database}: {first_line(error)}") from error


def relocate(database: Path, artifacts: Path) -> None:
    """Point a store that was moved or copied with its artifacts to where they lie now.

    Only what was below a folder of the same name as `artifacts`, the experiments' own, is changed. A location that
    leads to `artifacts` by another path, such as a link, is left.

    Raises:
        TrackingError: the file cannot be written.
    """
    with _connected(database) as connection:
        rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        moved = {str(location) for (location,) in rows if _is_elsewhere(str(location), artifacts)}
        with connection:
            for old in moved:
                for table, column in LOCATIONS:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, length(?) + 1) "  # noqa: S608 (constants)
                        f"WHERE {column} = ? OR substr({column}, 1, length(?) + 1) = ? || '/'",
                        (artifacts.as_uri(), old, old, old, old),
                    )


def first_line(error: Exception) -> str:
    """What an error of MLflow or its database says, without the statement that SQLAlchemy adds."""
    return str(error).strip().partition("\n")[0]


def _is_elsewhere(location: str, artifacts: Path) -> bool:
    parts = urlsplit(location)
    folder = Path(unquote(parts.path))
    if parts.scheme != "file" or folder.name != artifacts.name or folder == artifacts:
        return False
    return not (folder.exists() and artifacts.exists() and folder.samefile(artifacts))


def _is_usable(database: Path) -> bool:
    """Whether MLflow can open the file; False where it is not there, or was left half made and holds nothing."""
    if not database.exists() or (database.is_file() and database.stat().st_size == 0):
        return False
    newest, known = _schemas()
    with _connected(database) as connection:
        names = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if BOOK in names else None
        schema = None if row is None else str(row[0])
        if schema == newest:
            return True
        tables = {name for name in names if name != BOOK and not name.startswith(("sqlite_", "_alembic_tmp_"))}
        of_mlflow = tables <= _tables()
        # MLflow itself puts its default experiment and workspace there.
        holding = any(
            connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()  # noqa: S608 (its own tables)
            for name in tables - {"experiments", "workspaces"}
        )
    if of_mlflow and not holding:
        return False
    if schema in known:
        raise TrackingError(
            f"{database} was written by an older MLflow (schema {schema}, this one's is {newest}): make a copy of it, "
            f"then run `mlflow db upgrade '{sqlite_address(database)}'`"
        )
    what = "a database of another program" if schema is None else f"of a newer MLflow or another program ({schema})"
    raise TrackingError(f"{database} is {what}: move it away and run again to begin a new store")


def _schemas() -> tuple[str, frozenset[str]]:
    """The newest schema of the installed MLflow, and all that it can bring up to date."""
    import mlflow  # noqa: PLC0415 (see `pipeline.tracking.runs.client`)
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return str(scripts.get_current_head()), frozenset(script.revision for script in scripts.walk_revisions())


def _tables() -> set[str]:
    """The names of MLflow's tables, at its first schema and at its newest."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401, PLC0415 (it imports every table)
    from mlflow.store.db.base_sql_model import Base  # noqa: PLC0415
    from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase  # noqa: PLC0415

    return {*InitialBase.metadata.tables, *Base.metadata.tables}


@contextlib.contextmanager
def _connected(database: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection to a file that exists.

    Raises:
        TrackingError: it cannot be opened, or is no whole SQLite database.
    """
    connection = None
    try:
        connection = sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
        yield connection
    except sqlite3.OperationalError as error:
        raise TrackingError(f"cannot use MLflow's store {database}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"MLflow's store {database} cannot be read ({error}): restore it from a copy, or move it away and run "
            "again, which begins a new store and registers the model anew"
        ) from error
    finally:
        if connection is not None:
            connection.close()
