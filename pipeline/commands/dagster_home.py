"""The folder of Dagster's instance, checked before Dagster is loaded: its own words are traces."""

import os
from pathlib import Path
from typing import Final

from pipeline.config.values import expanded
from pipeline.errors import ConfigurationError
from pipeline.paths import PROJECT_ROOT

VARIABLE: Final = "DAGSTER_HOME"


def prepare_dagster_home() -> Path:
    """Make the folder that `DAGSTER_HOME` names, by default `dagster_home/` of the checkout, and set the variable.

    Raises:
        ConfigurationError: the variable is empty or no absolute path, or the folder cannot be made or written to.
    """
    given = os.environ.get(VARIABLE, str(PROJECT_ROOT / "dagster_home"))
    try:
        folder = expanded(given)
    except ValueError as error:
        raise ConfigurationError(f"{VARIABLE} is {given!r}: {error}") from error
    if not folder.is_absolute():
        raise ConfigurationError(f"{VARIABLE} is {given!r}: it must be absolute, as {folder.absolute()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigurationError(f"{VARIABLE} is {given!r}: a file is in the place of the folder") from error
    except OSError as error:
        raise ConfigurationError(f"{VARIABLE} is {given!r}: it cannot be made: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"{VARIABLE} is {given!r}: nothing can be written there; name another folder")
    os.environ[VARIABLE] = str(folder)
    return folder
