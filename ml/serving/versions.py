"""A registered version, found in MLflow's registry, and where its files are. Loads no network.

What keeps a version from being used is an error in one sentence, with what to do about it.
"""

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ml.spec import MLFLOW_DEFAULTS, DocumentError, sqlite_file

# MLflow's progress bars would mix with the answers.
os.environ.update({**MLFLOW_DEFAULTS, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", **os.environ})

import yaml

from ml.errors import MlError
from ml.serving import http_registry, sqlite_registry
from ml.serving.question import QuestionError
from ml.serving.sqlite_registry import Found

REQUIRED: Final = ("network", "weights", "taxonomy", "specificity", "thresholds")
"""The artifacts that an answer needs."""
CHAMPION: Final = "champion"
ARTIFACTS: Final = "mlartifacts"
"""The folder beside an SQLite database that holds the models' files."""
ANEW: Final = "`naturewatch run` registers it anew, and the alias can be set to another version in MLflow's UI"
_POINT: Final = "point `registry.tracking_uri` to the one that `naturewatch run` wrote"
_START: Final = "start it, or correct `registry.tracking_uri`"
_RESTORE: Final = f"restore it from a copy, or {_POINT}"


class ModelError(MlError):
    """The registry holds no model to ask, or it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a registered model."""

    name: str
    number: str
    folder: str
    """Where MLflow says that its files are: a path, or an address of a store."""


def find_version(*, uri: str, name: str, alias: str) -> Version:
    """The version of `name` that has the alias, or the number, that is given as `alias`.

    Raises:
        ModelError: the registry cannot be read, or has no such model, or the model no such alias.
    """
    refuse_what_is_no_registry(uri)
    found = _found_without_mlflow(uri, name=name, alias=alias)
    if found is not None:
        return Version(name=name, number=found.number, folder=found.location)
    import mlflow  # noqa: PLC0415 (takes seconds, and knows the rest: other stores, and what to say where none is found)

    for noisy in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    with _told(uri):
        client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        number = _number(client, uri=uri, name=name, alias=alias)
        return Version(name=name, number=number, folder=client.get_model_version_download_uri(name, number))


def _found_without_mlflow(uri: str, *, name: str, alias: str) -> Found | None:
    database = sqlite_file(uri)
    if database is not None:
        return sqlite_registry.look_up(database, name=name, alias=alias)
    if urlsplit(uri).scheme in {"http", "https"}:
        return http_registry.look_up(uri, name=name, alias=alias)
    return None


@contextmanager
def files_of(version: Version, *, uri: str) -> Iterator[dict[str, str]]:
    """Paths of the artifacts of a version, while the block runs; files in another store are copied for that time.

    Raises:
        ModelError: files are missing or damaged, may not be read, or other code made the version.
    """
    this = f"version {version.number} of {version.name!r}"
    with ExitStack() as stack:
        folder = _local_folder(version.folder, uri=uri)
        if folder is None:
            copied = stack.enter_context(TemporaryDirectory(prefix="naturewatch-"))
            folder = _downloaded(version, uri=uri, into=copied)
        artifacts = _artifacts(folder, this=this)
        try:
            yield artifacts
        except DocumentError as error:
            what = "was registered by other code than this" if error.other_version else "is damaged"
            raise ModelError(f"{this} {what}: {error.problem}; {ANEW}") from error
        except QuestionError:
            raise
        except (MlError, OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{this} is damaged: {error}; {ANEW}") from error


def _downloaded(version: Version, *, uri: str, into: str) -> Path:
    plain = Path(into, "plain")
    try:
        if http_registry.download(version.folder, uri=uri, into=plain):
            return plain
    except OSError as error:
        raise ModelError(f"the files of the model cannot be copied to {into}: {error.strerror or error}") from error
    import mlflow  # noqa: PLC0415 (takes seconds)

    # By its location: for the address of a version, MLflow would ask whichever registry this process used last.
    with _told(uri):
        return Path(mlflow.artifacts.download_artifacts(version.folder, dst_path=into, tracking_uri=uri))


def _artifacts(folder: Path, *, this: str) -> dict[str, str]:
    description = folder / "MLmodel"
    _refuse_unreadable(description, this=this)
    try:
        flavour = yaml.safe_load(description.read_text(encoding="utf-8"))["flavors"]["python_function"]
        artifacts = {name: str(folder / kept["path"]) for name, kept in flavour.get("artifacts", {}).items()}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{this} is damaged: {description} does not describe a model; {ANEW}") from error
    missing = [name for name in REQUIRED if name not in artifacts]
    if missing:
        raise ModelError(f"{this} was registered by other code than this: it has no {', '.join(missing)}; {ANEW}")
    for name in REQUIRED:
        _refuse_unreadable(Path(artifacts[name]), this=this)
    return artifacts


def refuse_what_is_no_registry(uri: str) -> None:
    """Look at an SQLite file before MLflow does: MLflow makes what is missing.

    Raises:
        ModelError: there is no such file, it may not be read, or it is no database of MLflow.
    """
    if not uri:
        raise ModelError("the address of the registry is empty: name one in `registry.tracking_uri`")
    path = sqlite_file(uri)
    if path is None:
        return
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ModelError(f"{path} is no database of MLflow, but a folder or a special file: {_POINT}")
        path.open("rb").close()
    except PermissionError as error:
        raise ModelError(f"this account may not read the registry {path}: its owner can allow it") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"there is no registry at {path}: run `naturewatch run` first") from error
    except OSError as error:
        raise ModelError(f"the registry {path} cannot be read ({error.strerror}): {_POINT}") from error
    try:
        with closing(sqlite_registry.connect(path)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise ModelError(f"the registry {path} cannot be read ({error}); {_RESTORE}") from error
    if damage != "ok":
        raise ModelError(f"the registry {path} is damaged; {_RESTORE}")
    if "registered_models" not in tables or "alembic_version" not in tables:
        raise ModelError(f"{path} is no database of MLflow: {_POINT}")


def shown(text: str, *, uri: str | None = None) -> str:
    """An address, or a text that names the address `uri`, without the password that the address may hold."""
    try:
        password = urlsplit(text if uri is None else uri).password
    except ValueError:
        password = None
    return text.replace(f":{password}@", ":***@") if password else text


def _number(client: Any, *, uri: str, name: str, alias: str) -> str:  # noqa: ANN401 (mlflow.MlflowClient)
    """The version under the alias; where there is none, says what there is instead."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        if alias.isdecimal():
            return str(client.get_model_version(name, alias).version)
        return str(client.get_model_version_by_alias(name, alias).version)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            raise
        raise ModelError(f"{shown(uri)} holds no model {name!r}: run `naturewatch run` first") from error
    aliases = ", ".join(f"{other} (version {number})" for other, number in sorted(model.aliases.items()))
    others = f"it has {aliases}, which `--alias` asks for" if aliases else "it has no alias at all"
    advice = "run `naturewatch run` first; " if alias == CHAMPION else ""
    raise ModelError(f"the model {name!r} has no version called {alias!r} in {shown(uri)}: {advice}{others}")


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into a sentence."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        yield
    except MlflowException as error:
        if "out-of-date database schema" in error.message:
            raise ModelError(
                f"another version of MLflow wrote the registry {shown(uri)}: keep a copy of it, then run "
                f"`mlflow db upgrade {shown(uri)}`; or use the environment that wrote it"
            ) from error
        raise ModelError(f"the registry {shown(uri)} does not answer ({_reason(error, uri=uri)}): {_START}") from error
    except (SQLAlchemyError, OSError, ImportError, ValueError) as error:
        raise ModelError(f"the registry {shown(uri)} cannot be read ({_reason(error, uri=uri)}): {_START}") from error


def _reason(error: BaseException, *, uri: str) -> str:
    """What the system said, where it was the system; else the first line of the message, without a password."""
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    if isinstance(first, OSError) and first.strerror:
        return first.strerror
    return shown(str(error).strip().partition("\n")[0], uri=uri)


def _local_folder(location: str, *, uri: str) -> Path | None:
    """The folder of this machine that a location means; None where it is in another store.

    MLflow keeps absolute locations: in a data root that was moved or copied, the files are found beside the database.
    """
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"}:
        return None
    folder = Path(unquote(parts.path) if parts.scheme else location)
    database = sqlite_file(uri)
    if database is not None:
        beside = database.absolute().parent
        names = [index for index, name in enumerate(folder.parts) if name == ARTIFACTS]
        moved = beside.joinpath(*folder.parts[names[-1] :]) if names else folder
        # A copy is its own: it must not answer with what the place that it was copied from has become.
        if _is_there(moved):
            return moved
    return folder


def _is_there(path: Path) -> bool:
    """Whether there is such a path, be it one that this account may not look at."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _refuse_unreadable(path: Path, *, this: str) -> None:
    try:
        with path.open("rb"):
            return
    except FileNotFoundError as error:
        raise ModelError(f"{this} is incomplete: {path} is missing; restore it, or: {ANEW}") from error
    except PermissionError as error:
        owner = _owner(path)
        raise ModelError(
            f"this account may not read {path}, a file of {this}{owner}: its owner can allow it with "
            f"`chmod -R a+rX {path.parent.parent}`"
        ) from error
    except OSError as error:
        raise ModelError(f"cannot read {path}, a file of {this}: {error.strerror}") from error


def _owner(path: Path) -> str:
    try:
        return f" that belongs to {path.owner()}"
    except (OSError, KeyError):
        return ""
