"""The folder of Dagster's instance, checked before Dagster is loaded: its own errors are traces."""

import os
from pathlib import Path
from typing import Final

from pipeline.config.values import expanded
from pipeline.errors import ConfigurationError
from pipeline.files import write_bytes
from pipeline.paths import Paths
from pipeline.project_folder import DAGSTER, project_folder

VARIABLE: Final = "DAGSTER_HOME"
CONFIGURATION: Final = "dagster.yaml"
"""Dagster's own configuration, in its folder."""


def prepare_dagster_home(paths: Paths) -> Path:
    """Make the folder of Dagster's instance, and name it in `DAGSTER_HOME`, where Dagster and child processes look.

    By default it is a folder of the scope, below its data root: the history of `conf/nz.yaml` is not that of the
    sample. Its `dagster.yaml` is a copy of the project's, made anew each time. A folder that the variable
    names already is used as it is.

    Raises:
        ConfigurationError: the variable is empty or no absolute path, or the folder cannot be made or written to.
    """
    given = os.environ.get(VARIABLE)
    folder = paths.dagster_home if given is None else _given(given)
    said = f"Dagster's folder {str(folder)!r}" if given is None else f"{VARIABLE} is {given!r}: the folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"{said} cannot be made: a file is in its place") from error
    except OSError as error:
        raise ConfigurationError(f"{said} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"{said} cannot be written to; name another one in {VARIABLE}")
    if given is None:
        _copy_configuration(folder / CONFIGURATION)
    os.environ[VARIABLE] = str(folder)
    return folder


def _given(value: str) -> Path:
    """The folder that the variable names."""
    try:
        folder = expanded(value)
    except ValueError as error:
        raise ConfigurationError(f"{VARIABLE} is {value!r}: {error}") from error
    if not folder.is_absolute():
        raise ConfigurationError(f"{VARIABLE} is {value!r}: it must be absolute, as {folder.absolute()}")
    return folder


def _copy_configuration(path: Path) -> None:
    """Copy the project's `dagster.yaml`, unless the copy is the same; a folder that is no project has none to copy."""
    source = project_folder() / DAGSTER
    if source.exists() and not (path.exists() and path.read_bytes() == source.read_bytes()):
        write_bytes(path, source.read_bytes())
