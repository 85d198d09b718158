"""The SQLite file in which MLflow keeps runs and models: created whole, checked before use, moved with its data root.

MLflow creates its tables in the file itself, migration by migration, and stores the absolute path of every artifact. A
process that is killed meanwhile leaves a file that no later one can use, and a copied data root would write into the
place it was copied from. Stores behind a server need none of this.
"""

import contextlib
import functools
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
"""Columns of MLflow's tables with paths of artifacts."""
BOOK = "alembic_version"
"""The table with the version of the schema."""
BUSY_SECONDS = 60.0
"""How long a statement waits while another process writes."""


def ensure_store(database: Path, *, experiment: str, artifacts: Path, work: Path) -> None:
    """Create the store with its experiment, unless it exists; the caller holds a lock against other processes.

    Args:
        database: The SQLite file.
        experiment: The experiment's name.
        artifacts: The folder of its artifacts.
        work: A folder on the same disk, in which the store is created.

    Raises:
        TrackingError: the file is damaged, is not an MLflow store, or is one of another version that is not empty.
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
    """Point a store that was moved or copied with its artifacts to where they are now.

    Only paths below a folder with the name of `artifacts` that an experiment uses are changed. A path that leads to
    `artifacts` in another way, such as through a link, is kept.

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
    """The message of an error of MLflow or its database, without the statement that SQLAlchemy adds."""
    return str(error).strip().partition("\n")[0]


def _is_elsewhere(location: str, artifacts: Path) -> bool:
    parts = urlsplit(location)
    folder = Path(unquote(parts.path))
    if parts.scheme != "file" or folder.name != artifacts.name or folder == artifacts:
        return False
    return not (folder.exists() and artifacts.exists() and folder.samefile(artifacts))


def _is_usable(database: Path) -> bool:
    """Whether MLflow can open the file; False where it is missing, or is incomplete and empty."""
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
        # MLflow itself adds its default experiment and workspace.
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


@functools.cache  # an installed MLflow stays what it is, and reading its scripts takes a tenth of a second
def _schemas() -> tuple[str, frozenset[str]]:
    """The newest schema of the installed MLflow, and all schemas that it can upgrade."""
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
        TrackingError: the file cannot be opened, or is not a whole SQLite database.
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
