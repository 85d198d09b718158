"""`python -m tests.pipeline.retention.dying ROOT`: prunes a data root in processes that are killed, one after another.

For each line on standard input a process prunes, and kills itself (SIGKILL) right after the first call that removes or
renames something and that has not killed twice already. For each process a line is printed: `killed after CALL`, and
`ended` for the one that came to its end.
"""

import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import dagster as dg
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

from pipeline.retention.pruning import carry_out, planned
from tests.pipeline.retention.lived_in import settings_of

CALLS: Final[dict[str, Any]] = {
    "delete_model_version": MlflowClient,
    "_hard_delete_run": SqlAlchemyStore,
    "_hard_delete_logged_model": SqlAlchemyStore,
    "unlink": Path,
    "rename": Path,
    "rmtree": shutil,
}
"""All calls that change what is there: classes or modules by the name of the call."""
TIMES: Final = 2
"""How often each kills."""


def main(root: Path) -> None:
    """Fork a process for each line: what it needs is loaded once."""
    killed: Counter[str] = Counter()
    for _ in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _prune(root, said=writing, spared={name for name, times in killed.items() if times == TIMES})
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reading) as stream:
            said = stream.read()
        if os.WIFSIGNALED(status):
            killed[said] += 1
            print(f"killed after {said}", flush=True)
        else:
            print("ended" if os.WEXITSTATUS(status) == 0 else f"failed {said}", flush=True)


def _prune(root: Path, *, said: int, spared: set[str]) -> None:
    settings = settings_of(root)
    with dg.DagsterInstance.ephemeral() as instance, planned(settings, instance) as plan:
        for name, owner in CALLS.items():
            if name not in spared:
                _die_after(said, owner, name)
        carry_out(settings, instance, plan, log=lambda _: None)
        # What is removed from here on is the plan itself.
        os._exit(0)


def _die_after(said: int, owner: Any, name: str) -> None:  # noqa: ANN401 (a class or a module)
    original: Callable[..., object] = getattr(owner, name)

    def fatal(*arguments: Any, **options: Any) -> object:  # noqa: ANN401
        original(*arguments, **options)
        os.write(said, name.encode())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    setattr(owner, name, fatal)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
