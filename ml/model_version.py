"""A registered model version and its files: where they lie, and whether this code and this account can use them."""

import filecmp
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError
from yaml import YAMLError

from ml.errors import MlError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

ARTIFACTS: Final = "mlartifacts"
"""The folder of artifacts beside an SQLite store."""


class ModelVersionError(MlError):
    """The files of a registered version are missing, damaged, or made by other code."""


class UnreadableError(ModelVersionError):
    """Another account registered the version, and keeps its files to itself."""


def load_version(client: "MlflowClient", version: "ModelVersion", *, uri: str) -> Any:  # noqa: ANN401 (PyFuncModel)
    """The model of a version, ready to answer (mlflow.pyfunc.PyFuncModel).

    Args:
        client: A client of the registry.
        version: The version.
        uri: The registry's address.

    Raises:
        ModelVersionError: it cannot be used; says why.
    """
    import mlflow  # noqa: PLC0415 (slow; this module is imported to ask what there is)
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    folder = folder_of(client, version, uri=uri)
    if folder is not None:
        require_readable(folder)
    source = f"models:/{version.name}/{version.version}" if folder is None else str(folder)
    try:
        return mlflow.pyfunc.load_model(source)
    except (ValidationError, KeyError, AttributeError, TypeError, ImportError) as error:
        raise ModelVersionError(f"it was registered by other code than this: {type(error).__name__}") from error
    except (MlError, MlflowException, OSError, YAMLError) as error:
        raise ModelVersionError(" ".join(str(error).split())) from error


def folder_of(client: "MlflowClient", version: "ModelVersion", *, uri: str) -> Path | None:
    """The folder of a version's files; None where a server keeps them.

    MLflow remembers where the folder was made. A store that was moved or copied with its artifacts has it beside its
    database, which is asked first: the place that it was copied from may still exist.
    """
    location = urlsplit(client.get_model_version_download_uri(version.name, version.version))
    if location.scheme not in {"", "file"}:
        return None
    folder = Path(unquote(location.path))
    if uri.startswith("sqlite:///") and ARTIFACTS in folder.parts:
        within = folder.parts[len(folder.parts) - folder.parts[::-1].index(ARTIFACTS) :]
        beside = Path(uri.removeprefix("sqlite:///")).absolute().parent.joinpath(ARTIFACTS, *within)
        if _is_there(beside):
            return beside
    return folder


def differing(folder: Path, files: Mapping[str, Path]) -> list[str]:
    """Names of the artifacts below `folder` that have another content than the files they were made of."""
    import mlflow  # noqa: PLC0415 (as in load_version)

    kept = mlflow.models.Model.load(str(folder)).flavors["python_function"]["artifacts"]
    return [
        name
        for name, path in files.items()
        if name not in kept or not filecmp.cmp(folder / kept[name]["path"], path, shallow=False)
    ]


def share(folder: Path) -> None:
    """Let every account read this account's files below `folder`, as far as the umask allows it."""
    umask = os.umask(0)
    os.umask(umask)
    for path in folder.rglob("*"):
        if path.stat().st_uid != os.geteuid():
            continue
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def _is_there(path: Path) -> bool:
    """Whether there is such a path, be it one that this account may not look at."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def require_readable(folder: Path) -> None:
    """Refuse the folder of a version that is not there, or holds a file that this account may not read.

    Raises:
        ModelVersionError: it is not there.
        UnreadableError: it may not be read.
    """
    refused = f"; its owner can allow it with chmod -R a+rX {folder}"
    try:
        (folder / "MLmodel").stat()
    except PermissionError as error:
        raise UnreadableError(f"this account may not read {folder}{refused}") from error
    except OSError as error:
        raise ModelVersionError(f"its files are not there: {folder}") from error
    for path in (folder, *folder.rglob("*")):
        if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK, effective_ids=True):
            raise UnreadableError(f"this account may not read {path}{refused}")
