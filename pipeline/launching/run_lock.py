"""One run of a scope at a time, whoever starts it: a lock in its data root that the process of a run holds.

Dagster's queue lets one run at a time begin, but it knows neither the runs of another instance nor that
`naturewatch run` is about to begin. The system releases the lock when the process ends, however it ends.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.config.settings import configuration_file, load_settings
from pipeline.errors import LockedError
from pipeline.files import exclusive

COMMAND_WAITS: Final = 30.0
"""Seconds that a command waits for another run before it gives up: a person or cron decides what to do then."""

_held: Final[set[Path]] = set()
"""The locks of this process: a run may begin within what holds the lock for it."""


@contextlib.contextmanager
def only_run(
    data_root: Path, *, who: str, wait_seconds: float, look: Callable[[str], object] = lambda _: None
) -> Iterator[None]:
    """Hold the lock of a scope while the block runs.

    Args:
        data_root: Of the scope.
        who: Told to those who wait: which run this is, and where to look at it.
        wait_seconds: How long to wait for another run; infinite for as long as it takes.
        look: Called several times a second while another run holds the lock, with that run in words. It may raise.

    Raises:
        LockedError: another run held the lock all the time.
    """
    path = data_root.absolute() / ".run.lock"
    if path in _held:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(path, wait_seconds=wait_seconds, who=who, look=look))
        except LockedError as error:
            raise LockedError(f"two runs of one scope would write the same files: {error}") from None
        _held.add(path)
        stack.callback(_held.discard, path)
        yield


def data_root_of(run_config: Mapping[str, Any]) -> Path:
    """The data root that a run of Dagster writes to: that of the file named in its configuration, else the usual one.

    Raises:
        ConfigurationError: the file cannot be read, or is wrong.
    """
    scope = run_config.get("resources", {}).get("scope", {}).get("config", {})
    given = scope.get("config_file", "")
    if isinstance(given, dict):
        given = os.environ.get(str(given.get("env")), "")
    return load_settings(configuration_file(Path(given) if given else None)).data_root
