"""The scope of the last run in a folder, which a command is about that names no other.

`naturewatch run`, `refresh` and `ui` leave a small file beside the data of the working folder: the scope's file, and
the `NATUREWATCH__...` variables that decide where data and models are. A scope that is named (`--config`,
`NATUREWATCH_CONFIG`, or such variables) always comes first. Loads nothing heavy.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.config.problems import CONFIG_VARIABLE, LAST_SCOPE_VARIABLE
from pipeline.errors import ConfigurationError
from pipeline.files import atomic_path
from pipeline.project_folder import SAMPLE, project_folder

RECORD: Final = Path("data") / "last_scope.json"
"""Where the last scope is remembered, below the working folder, unless NATUREWATCH_LAST_SCOPE names another file."""
_DECIDING: Final = ("NATUREWATCH__NAME", "NATUREWATCH__DATA_ROOT", "NATUREWATCH__REGISTRY__")


@dataclass(frozen=True, kw_only=True)
class _Scope:
    file: Path
    variables: Mapping[str, str]
    """By their names as they were set."""

    @property
    def default(self) -> bool:
        return self.file == project_folder() / SAMPLE and not self.variables


def deciding_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of some variables that decide where data and models get, in alphabetical order."""
    return {name: value for name, value in sorted(environment.items()) if name.upper().startswith(_DECIDING)}


def remember(file: Path) -> None:
    """Remember the scope of the run that begins: its file, and the variables of this process.

    Where that cannot be written down, a line on standard error says so; the run can do without.
    """
    record = _record()
    if record is None:
        return
    scope = {"config": str(file), "variables": deciding_variables(os.environ)}
    try:
        with atomic_path(record) as partial:
            # The address of a registry may hold a password.
            partial.touch(mode=0o600)
            partial.write_text(json.dumps(scope, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        _say(f"the scope of this run is not remembered ({record}: {error.strerror}): tell the others by --config")


def recall(*, goes_on: bool) -> Path | None:
    """The scope's file of the last run in this folder, said on standard error where it is not the sample's.

    The variables that the run was given are set in this process, for commands that only ask about its results.

    Args:
        goes_on: Whether the command makes data and models anew. It would need all variables of that run, and only those
            that decide where things are were remembered.

    Returns:
        None where a scope is named by the environment, and where nothing ran.

    Raises:
        ConfigurationError: what was remembered is damaged, or its file is gone; or the command needs variables that
            are not set.
    """
    record = _record()
    if record is None or CONFIG_VARIABLE in os.environ:
        return None
    scope, given = _read(record), deciding_variables(os.environ)
    if scope is None or not given.items() <= scope.variables.items():
        # Nothing ran here, or these variables name a scope of their own.
        return None
    if not scope.file.exists():
        raise ConfigurationError(
            f"the last run here was of the scope {scope.file}, which is gone: name a scope with --config, or remove "
            f"{record} to begin with conf/sample.yaml"
        )
    missing = [name for name in scope.variables if name not in given]
    if goes_on and missing:
        raise ConfigurationError(
            f"the last run here was told its scope by {', '.join(missing)}: set all its variables again, or name a "
            "scope with --config"
        )
    os.environ.update(scope.variables)
    if not scope.default:
        by = f" with {', '.join(scope.variables)}" if scope.variables else ""
        _say(f"the scope is that of the last run here, {_from_here(scope.file)}{by}; --config names another")
    return scope.file


def _record() -> Path | None:
    given = os.environ.get(LAST_SCOPE_VARIABLE)
    return RECORD if given is None else Path(given) if given else None


def _read(record: Path) -> _Scope | None:
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        variables = {str(name): str(value) for name, value in kept["variables"].items()}
        return _Scope(file=Path(kept["config"]), variables=deciding_variables(variables))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{record}, which remembers the scope of the last run, cannot be read: remove it, or name a scope with "
            "--config"
        ) from error


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _say(message: str) -> None:
    print(f"naturewatch: {message}", file=sys.stderr)
