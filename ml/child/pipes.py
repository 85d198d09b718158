"""Dagster Pipes: messages to the run that started this process, and an end when that run dies.

Everything here works the same without Dagster: messages then go to standard error.
"""

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil

PIPES_VARIABLE = "DAGSTER_PIPES_CONTEXT"
"""Set by Dagster for the processes it starts (`dagster_pipes.DAGSTER_PIPES_CONTEXT_ENV_VAR`)."""
GRACE_SECONDS = 60.0
"""How long an orphan may take to write its checkpoint before it is ended for good."""


class Reporter:
    """Messages for people: in Dagster's log when Dagster started this process, else on standard error."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """Report by `write`."""
        self._write = write

    def info(self, message: str) -> None:
        """Report one line."""
        self._write(message)


def is_first_rank() -> bool:
    """Whether this process speaks for all: the only one, or torchrun's rank 0."""
    return int(os.environ.get("RANK", "0")) == 0


def launched_by_pipes() -> bool:
    """Whether a Dagster run started this process."""
    return PIPES_VARIABLE in os.environ


@contextlib.contextmanager
def session() -> Iterator[Reporter]:
    """Yield a reporter; under Dagster, also end this process when the step that started it is gone."""
    child = launched_by_pipes()
    if child:
        watch_ancestors()
        # What is imported by now stays until the end: the garbage collector need not visit it.
        gc.freeze()
    if not is_first_rank():
        yield Reporter(lambda _: None)
    elif child:
        from dagster_pipes import open_dagster_pipes  # noqa: PLC0415 (a stage that is run by hand needs no Dagster)

        with open_dagster_pipes() as context:
            yield Reporter(context.log.info)
    else:
        yield Reporter(_to_stderr)


def watch_ancestors(*, interval_seconds: float = 1.0, grace_seconds: float = GRACE_SECONDS) -> threading.Thread:
    """Watch the parent process, and torchrun's parent, and interrupt this process when one is gone.

    A killed Dagster step cannot notify its children; without this they would go on training next to the retry.

    Args:
        interval_seconds: Time between two looks.
        grace_seconds: From the interrupt (SIGTERM: the checkpoint is written) to the hard end.

    Returns:
        The watching daemon thread.
    """
    depth = 2 if "TORCHELASTIC_RUN_ID" in os.environ else 1
    ancestors = psutil.Process().parents()[:depth]
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent and all(ancestor.is_running() for ancestor in ancestors):
            time.sleep(interval_seconds)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_seconds)
        os._exit(1)

    thread = threading.Thread(target=watch, name="watch-ancestors", daemon=True)
    thread.start()
    return thread


def _to_stderr(message: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {message}\n")
    sys.stderr.flush()
