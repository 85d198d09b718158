"""Empty SQLite stores of MLflow, copied from one that is made once per process: its migrations take seconds."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from mlflow.tracking._tracking_service import utils

from pipeline.tracking_store import ensure_store

EXPERIMENT = "test"


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="naturewatch-store-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = folder / "mlflow.db"
    ensure_store(database, experiment=EXPERIMENT, artifacts=folder / "mlartifacts", work=folder / "work")
    return database


def empty_store(database: Path) -> Path:
    """A whole store at `database`, with the experiment `EXPERIMENT` whose artifacts lie in another data root."""
    database.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(_template(), database))


def forget_artifacts() -> None:
    """As in a new process: MLflow remembers where the artifacts of a run lie."""
    utils._artifact_repos_cache.clear()
