"""Empty SQLite stores of MLflow, copied from one that is made once per process, and a server: both take seconds."""

import atexit
import functools
import importlib
import os
import shutil
import tempfile
import threading
import warnings
from pathlib import Path

from mlflow.tracking._tracking_service import utils
from werkzeug.serving import make_server

from pipeline.tracking.store import ensure_store

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


@functools.cache
def mlflow_server() -> str:
    """The address of an MLflow server that keeps artifacts, too, in this process and until its end."""
    folder = Path(tempfile.mkdtemp(prefix="naturewatch-server-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = f"sqlite:///{empty_store(folder / 'mlflow.db')}"
    # As `mlflow server` tells its workers.
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": store,
        "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(folder / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    os.environ.update(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Starlette's, of what MLflow imports when it is first asked
        importlib.import_module("starlette.middleware.wsgi")
    app = importlib.import_module("mlflow.server").app  # it reads the environment
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.port}"


def forget_artifacts() -> None:
    """As in a new process: MLflow remembers where the artifacts of a run lie."""
    utils._artifact_repos_cache.clear()
